"""The formats that layers read, fitted to the error of their outputs."""

from dataclasses import replace

import numpy as np
import pytest

from hwsim.graph import Affine
from hwsim.graph.build import Builder
from hwsim.ptq.adaquant import AdaQuant
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.history import layer_errors
from hwsim.ptq.observe import observe
from hwsim.ptq.reads import fellow_readers, fit_format, moved, rounded
from hwsim.ptq.walk import decode, encode, walk
from hwsim.simulate import SampleBatch

OPTIONS = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "same"}


def affine(scale, zero_point, bits):
    return Affine(np.array([scale], np.float32), np.array([zero_point]), None, bits)


def chain(branches):
    """conv, then as many convolutions of its output added up."""
    draw, builder = np.random.default_rng(3), Builder("chain")

    def conv(x, channels):
        shape = (4, 3, 3, channels)
        inputs = [x, builder.constant("w", draw.normal(0, 0.4, shape).astype(np.float32))]
        return builder.node("conv2d", inputs, (1, 5, 5, 4), activation="relu", **OPTIONS)

    first = conv(builder.input("x", (1, 5, 5, 3)), 3)
    total = conv(first, 4)
    for _ in range(1, branches):
        total = builder.node("add", [total, conv(first, 4)], (1, 5, 5, 4), activation="none")
    return builder.graph(conv(total, 4)), draw.normal(0, 1, (30, 5, 5, 3)).astype(np.float32)


def test_rounded_is_what_codes_stand_for():
    draw = np.random.default_rng(0)
    for bits in (2, 4, 8):
        form = moved(affine(0.1, 1, bits if bits < 8 else None), 1, 0.9)
        x = draw.normal(0, 2, (2, 9, 5)).astype(np.float32)
        np.testing.assert_allclose(rounded(x, form), decode(encode(x, form), form), atol=1e-6)


@pytest.mark.parametrize("bits", [2, 4, None])
def test_a_moved_end_is_as_far_as_asked_and_zero_stays_a_code(bits):
    form, half = affine(0.5, 0, bits), 1 << ((bits or 8) - 1)
    for end, factor in ((0, 0.5), (1, 2.0), (0, 0.0)):
        found = moved(form, end, factor)
        reach = (2 * half - 1) * found.scale[0]
        wanted = [-half * 0.5, (half - 1) * 0.5]
        wanted[end] *= factor
        assert reach == pytest.approx(wanted[1] - wanted[0], rel=1e-6)
        assert (-half - found.zero_point[0]) * found.scale[0] == pytest.approx(
            wanted[0], abs=float(found.scale[0]) * 0.51
        )
        assert -half <= found.zero_point[0] < half


def test_the_fitted_format_is_better_than_all_around_it():
    draw = np.random.default_rng(1)
    x = np.maximum(draw.standard_t(3, (1, 800, 12)), 0).astype(np.float32)
    weights = draw.normal(0, 1, (1, 5, 12))
    y = x @ weights.transpose(0, 2, 1).astype(np.float32)

    def error(form):
        return float(((rounded(x, form) @ weights.transpose(0, 2, 1) - y).var(axis=1)).sum())

    start = affine(x.max() / 15, -8, 4)
    found = fit_format(x, y, weights, start)
    assert error(found) < 0.5 * error(start)
    ends = [float(x.max()) * share for share in np.linspace(0.05, 1, 200)]
    best = min(error(moved(start, 1, end / (15 * float(start.scale[0])))) for end in ends)
    assert error(found) <= 1.05 * best


def test_only_layers_choose_what_they_read():
    graph, x = chain(2)
    seen = observe(graph, x)
    layers = [i for i, node in enumerate(graph.nodes) if node.op == "conv2d"]
    first, one, other, last = layers
    coding = choose(graph, seen, Widths(4, 4))
    assert fellow_readers(graph, coding, first) == ()
    assert fellow_readers(graph, coding, one) == (one, other)
    assert last not in coding.inputs
    assert fellow_readers(graph, coding, last) == (last,)
    wider = choose(graph, seen, Widths(4, 4, layers={one: (4, 8)}))
    assert other in wider.inputs
    assert fellow_readers(graph, wider, one) == ()
    assert fellow_readers(graph, wider, other) == (other,)
    assert fellow_readers(replace(graph, outputs=(*graph.outputs, graph.nodes[first].outputs[0])), coding, one) == ()


@pytest.mark.parametrize("sequential", [True, False])
@pytest.mark.parametrize("branches", [1, 2])
def test_fitting_what_layers_read_lowers_the_error(branches, sequential):
    graph, x = chain(branches)
    batch = SampleBatch.of(graph, x)
    coding = choose(graph, observe(graph, x), Widths(4, 3, ends=4), activations_by="min_max")
    options = {"sequential": sequential}
    plain = walk(graph, coding, batch, "dyadic", AdaQuant(), **options)
    fitted = walk(graph, coding, batch, "dyadic", AdaQuant(), reads=True, **options)
    assert all(form.same_as(plain.activations[i]) for i, form in coding.activations.items())
    changed = [i for i, form in coding.activations.items() if not form.same_as(fitted.activations[i])]
    assert graph.nodes[0].outputs[0] in changed
    assert not {*graph.inputs, *graph.outputs}.intersection(changed)
    last = graph.nodes[-1].name
    one, other = (layer_errors(graph, c, "dyadic", batch)[last] for c in (plain, fitted))
    assert other < one


def test_a_layers_own_codes_are_fitted(network, samples, seen):
    coding = choose(network, seen, Widths(4, 3), activations_by="min_max")
    (index,) = coding.inputs
    found = walk(network, coding, SampleBatch.of(network, samples), "dyadic", AdaQuant(), reads=True)
    assert found.inputs.keys() == coding.inputs.keys()
    assert found.inputs[index].bits == 3
    assert found.inputs[index].scale < coding.inputs[index].scale
