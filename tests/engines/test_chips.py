"""Engines known from their publications: every operator with a rule of its own against exact fractions."""

import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.graph.probes import probe_inputs
from tests import naive
from tests.naive.rounding import clamp, float32, float64_half_even, half_away, half_even, half_up
from tests.random_graphs import MAKERS

WAYS = {"half_up": half_up, "half_away": half_away, "half_even": half_even, "floor": math.floor, "truncate": math.trunc}
CHIPS = ("dyadic", "hawq-v3", "pulp-nn", "shift", "gemmini", "ethos-u", "nvdla")


def bits(real, count):
    """`real` with `count` significant bits, ties away from zero, exactly."""
    exponent = math.frexp(real)[1]
    return half_away(Fraction(real) * Fraction(2) ** (count - exponent)) * Fraction(2) ** (exponent - count)


def power_of_two(real):
    """The power of two nearest by exponent: real^2 against the odd powers of two between."""
    exponent = math.frexp(real)[1]
    return Fraction(2) ** (exponent - (Fraction(real) ** 2 < Fraction(2) ** (2 * exponent - 1)))


def rounded(way, narrow, acc, real):
    """The exact product with the narrowed multiplier, rounded once."""
    return WAYS[way](acc * Fraction(narrow(real)))


def hawq(acc, real):
    return float64_half_even(acc, *naive.quantize_multiplier(real))


def tfl(acc, real):
    return naive.rounding.double_rounding(acc, *naive.quantize_multiplier(real))


def q31(mode):
    return partial(rounded, mode, partial(bits, count=31))


LAYERS = {  # engine: (acc, real multiplier) -> code before the zero point, scale arithmetic
    "dyadic": (q31("half_up"), "float64"),
    "dyadic:floor": (q31("floor"), "float64"),
    "dyadic:half_away": (q31("half_away"), "float64"),
    "dyadic:half_even": (q31("half_even"), "float64"),
    "dyadic:truncate": (q31("truncate"), "float64"),
    "shift": (partial(rounded, "half_up", power_of_two), "float64"),
    "shift:floor": (partial(rounded, "floor", power_of_two), "float64"),
    "shift:half_even": (partial(rounded, "half_even", power_of_two), "float64"),
    "shift:half_away": (partial(rounded, "half_away", power_of_two), "float64"),
    "shift:truncate": (partial(rounded, "truncate", power_of_two), "float64"),
    "hawq-v3": (hawq, "float32_product"),
    "pulp-nn": (q31("floor"), "float64"),
    "pulp-nn:8_bits": (partial(rounded, "floor", partial(bits, count=8)), "float64"),
    "gemmini": (float32, "float32"),
    "nvdla": (partial(rounded, "half_away", partial(bits, count=15)), "float64"),
    "ethos-u": (tfl, "float64"),
    "ethos-u:truncate": (q31("truncate"), "float64"),
    "ethos-u:natural": (q31("half_up"), "float64"),
}
LAYER_OPS = ("conv2d", "depthwise_conv2d", "fully_connected")


def sums(graph, x):
    node, tensors = graph.nodes[0], graph.tensors
    w, b = tensors[1], tensors[2].data if len(node.inputs) > 2 and node.inputs[2] >= 0 else None
    zero_points = {"input_zero_point": tensors[0].zero_point, "weight_zero_point": int(w.format.zero_point[0])}
    if node.op == "fully_connected":
        return naive.fully_connected(x, w.data, b, **zero_points)
    a = node.attributes
    moving = {"stride": (a["stride_h"], a["stride_w"]), "dilation": (a["dilation_h"], a["dilation_w"])}
    if node.op == "conv2d":
        moving["groups"] = x.shape[3] // w.shape[3]
    return getattr(naive, node.op)(x, w.data, b, padding=a["padding"], **moving, **zero_points)


def ends(graph):
    y = graph.tensors[-1]
    return naive.activation_range(graph.nodes[0].attributes.get("activation", "none"), y.scale, y.zero_point, y.dtype)


def graphs(op, seeds=4):
    for seed in range(seeds):
        generator = np.random.default_rng([seed, *op.encode()])
        for dtype in ("int8", "uint8"):
            graph = MAKERS[op](generator, dtype)
            yield graph, probe_inputs(graph, 1, seed)


@pytest.mark.parametrize("op", LAYER_OPS)
@pytest.mark.parametrize("engine", LAYERS)
def test_layer_equals_exact_fractions(engine, op):
    way, precision = LAYERS[engine]
    for graph, inputs in graphs(op):
        x, weights, y = graph.tensors[0], graph.tensors[1], graph.tensors[-1]
        if engine.startswith("ethos-u") and (op == "fully_connected" or x.dtype == "uint8"):
            precision = "float32_product"
        scales = [float(s) for s in weights.format.scale]
        reals = naive.effective_scales(precision, x.scale, scales, y.scale)
        precision = LAYERS[engine][1]
        got = hwsim.simulate(graph, inputs, engine).outputs[0].reshape(4, *y.shape)
        for row in range(4):
            acc = sums(graph, inputs[0][row : row + 1]).reshape(y.shape)
            for place, code in np.ndenumerate(got[row]):
                real = float(reals[place[-1] % len(reals)])
                value = way(int(acc[place]), real) + y.zero_point
                assert code == clamp(value, *ends(graph)), (engine, place, int(acc[place]), real)


def common(a, b, ratios, mode, count, round_ratio=Fraction):
    """Both ratios as integers over one power of two, the larger with `count` bits; one rounding."""
    exact = [Fraction(round_ratio(ratio)) for ratio in ratios]
    shift = count - math.frexp(max(exact))[1]
    return WAYS[mode](sum(v * round(r * Fraction(2) ** shift) for v, r in zip((a, b), exact, strict=True))
                      / Fraction(2) ** shift)  # fmt: skip


def each(way, limits=None):
    def add(a, b, ratios):
        parts = [way(v, r) for v, r in zip((a, b), ratios, strict=True)]
        return sum(clamp(part, *limits) if limits else part for part in parts)

    return add


ADDS = {
    "dyadic": partial(common, mode="half_up", count=31),
    "dyadic:half_even": partial(common, mode="half_even", count=31),
    "shift": partial(common, mode="half_up", count=31, round_ratio=power_of_two),
    "pulp-nn": partial(common, mode="floor", count=31),
    "pulp-nn:8_bits": partial(common, mode="floor", count=8),
    "nvdla": partial(common, mode="half_away", count=15),
    "hawq-v3": each(hawq),
    "gemmini": each(float32, (-128, 127)),
}


@pytest.mark.parametrize("engine", ADDS)
def test_sum_equals_exact_fractions(engine):
    for graph, inputs in graphs("add", 6):
        tensors = [graph.tensors[i] for i in graph.nodes[0].inputs]
        y = graph.tensors[graph.outputs[0]]
        given = iter(inputs)
        values = [next(given) if t.data is None else np.broadcast_to(t.data, (4, *t.shape[1:])) for t in tensors]
        got = hwsim.simulate(graph, inputs, engine).outputs[0].reshape(values[0].shape)
        ratios = [t.scale / y.scale for t in tensors]
        low, high = naive.activation_range(graph.nodes[0].attributes["activation"], y.scale, y.zero_point, y.dtype)
        for place, code in np.ndenumerate(got):
            a, b = (int(v[place]) - t.zero_point for v, t in zip(values, tensors, strict=True))
            assert code == clamp(ADDS[engine](a, b, ratios) + y.zero_point, low, high), (a, b, ratios)


MULS = {name: LAYERS[name][0] for name in ("dyadic", "dyadic:floor", "shift", "hawq-v3", "nvdla")}


@pytest.mark.parametrize("engine", MULS)
def test_product_equals_exact_fractions(engine):
    for graph, inputs in graphs("mul", 3):
        a, b, y = (graph.tensors[i] for i in (*graph.nodes[0].inputs, *graph.outputs))
        given = iter(inputs)
        values = [next(given) if t.data is None else np.stack([t.data] * 4) for t in (a, b)]
        first, second = (v.reshape(4, *t.shape) for v, t in zip(values, (a, b), strict=True))
        shape = (4, *y.shape)
        spread = [np.broadcast_to(v.reshape(4, *(1,) * (len(y.shape) - v.ndim + 1), *v.shape[1:]), shape)
                  for v in (first, second)]  # fmt: skip
        got = hwsim.simulate(graph, inputs, engine).outputs[0].reshape(shape)
        low, high = naive.activation_range(graph.nodes[0].attributes["activation"], y.scale, y.zero_point, y.dtype)
        for place, code in np.ndenumerate(got):
            acc = (int(spread[0][place]) - a.zero_point) * (int(spread[1][place]) - b.zero_point)
            expected = MULS[engine](acc, a.scale * b.scale / y.scale) + y.zero_point
            assert code == clamp(expected, low, high), (acc, a.scale * b.scale / y.scale)


MEANS = {name: LAYERS[name][0] for name in ("dyadic", "dyadic:truncate", "hawq-v3", "gemmini")}


@pytest.mark.parametrize("engine", MEANS)
def test_mean_equals_exact_fractions(engine):
    for graph, inputs in graphs("mean", 6):
        x, y = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
        axes = tuple(int(a) % len(x.shape) + 1 for a in np.atleast_1d(graph.tensors[graph.nodes[0].inputs[1]].data))
        centered = inputs[0].reshape(4, *x.shape).astype(int) - x.zero_point
        total = centered.sum(axis=axes).reshape(4, -1)
        count = centered.size // total.size
        real = x.scale / (y.scale * count)
        real = float(np.float32(real)) if engine == "gemmini" else real
        got = hwsim.simulate(graph, inputs, engine).outputs[0].reshape(4, -1)
        for place, code in np.ndenumerate(got):
            assert code == clamp(MEANS[engine](int(total[place]), real) + y.zero_point, *ends_of(y)), engine


def ends_of(tensor):
    info = np.iinfo(tensor.dtype)
    return int(info.min), int(info.max)


@pytest.mark.parametrize("engine", ["hawq-v3", "pulp-nn"])
def test_averages_go_toward_zero(engine):
    for graph, inputs in graphs("average_pool_2d", 6):
        x, y, a = graph.tensors[0], graph.tensors[-1], graph.nodes[0].attributes
        got = hwsim.simulate(graph, inputs, engine).outputs[0].reshape(4, *y.shape)
        for (sample, _, row, column, channel), code in np.ndenumerate(got):
            image = inputs[0].reshape(4, *x.shape)[sample, 0, :, :, channel].astype(int) - x.zero_point
            starts = []
            for axis, (place, size, step) in enumerate(
                ((row, a["filter_h"], a["stride_h"]), (column, a["filter_w"], a["stride_w"]))
            ):
                before = naive.same_padding(image.shape[axis], size, step)[0] if a["padding"] == "same" else 0
                starts.append((max(place * step - before, 0), place * step - before + size))
            taps = image[starts[0][0] : starts[0][1], starts[1][0] : starts[1][1]]
            assert code == clamp(math.trunc(Fraction(int(taps.sum()), taps.size)) + x.zero_point, *ends(graph))


@pytest.mark.parametrize("engine", ["dyadic", "dyadic:floor", "shift", "pulp-nn", "pulp-nn:8_bits", "gemmini", "nvdla"])
def test_requantization_equals_exact_fractions(engine):
    for seed in range(8):
        generator = np.random.default_rng(seed)
        graph = MAKERS["quantize"](generator, "int8")
        x, y = graph.tensors[0], graph.tensors[-1]
        if x.dtype == "float32":
            continue
        inputs = probe_inputs(graph, 1, seed)
        got = hwsim.simulate(graph, inputs, engine).outputs[0].reshape(inputs[0].shape)
        for place, code in np.ndenumerate(got):
            value = LAYERS[engine][0](int(inputs[0][place]) - x.zero_point, x.scale / y.scale)
            assert code == clamp(value + y.zero_point, *ends_of(y))


def test_every_chip_is_listed_and_says_where_it_was_read():
    for name in CHIPS:
        profile = hwsim.engines()[name]
        assert profile.source and profile.reference is None
    assert {name.split(":")[0] for name in LAYERS} == set(CHIPS)
    variants = {f"{name}:{variant}" for name in CHIPS for variant in hwsim.engines()[name].variants}
    assert variants == {name for name in LAYERS if ":" in name}


def test_an_unknown_variant_is_named_with_the_nearest():
    graph = MAKERS["conv2d"](np.random.default_rng(0), "int8")
    with pytest.raises(InputError, match=r"^unknown variant of engine 'dyadic' 'flor'; did you mean 'floor'\?$"):
        hwsim.compile(graph, "dyadic:flor")
