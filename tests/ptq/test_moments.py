"""Layer-wise methods against sums written out on small layers."""

import itertools

import numpy as np
import pytest

from hwsim.graph.build import Builder
from hwsim.ptq.adaquant import AdaQuant, anchored, best_scale, descend
from hwsim.ptq.analytic import clipped_normal
from hwsim.ptq.layers import Layer
from hwsim.ptq.moments import Moments, measure
from hwsim.ptq.walk import walk

OPTIONS = {"stride_h": 2, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "same", "activation": "none"}
SHAPES = {"conv2d": (4, 3, 3, 2), "depthwise_conv2d": (1, 3, 3, 8), "fully_connected": (3, 7)}


def layer_of(op):
    draw, builder = np.random.default_rng(0), Builder(op)
    dense = op == "fully_connected"
    x = builder.input("x", (1, 7) if dense else (1, 5, 4, 4))
    out = (1, 3) if dense else (1, 3, 4, 8 if op == "depthwise_conv2d" else 4)
    constants = [builder.constant("w", draw.normal(0, 1, SHAPES[op]).astype(np.float32)),
                 builder.constant("b", draw.normal(0, 1, out[-1]).astype(np.float32))]  # fmt: skip
    return builder.graph(builder.node(op, [x, *constants], out, **({"activation": "none"} if dense else OPTIONS)))


@pytest.mark.parametrize("op", SHAPES)
def test_rows_times_weights_are_the_layer(op):
    import hwsim

    graph = layer_of(op)
    layer, x = (
        Layer.of(graph, 0),
        np.random.default_rng(1).normal(0, 1, (3, *graph.tensors[0].shape)).astype(np.float32),
    )
    real = hwsim.simulate(graph, x.reshape(3, *x.shape[2:]), "float").outputs[0]
    rows = layer.rows(x)
    assert rows.shape[1] == layer.row_count(3)
    got = rows @ layer.weights.transpose(0, 2, 1) + layer.bias.reshape(layer.groups, 1, -1)
    np.testing.assert_allclose(got, layer.grouped(real), atol=1e-5)
    pick = np.array([0, 2], np.int64)
    np.testing.assert_array_equal(layer.rows(x, pick), rows[:, pick])
    np.testing.assert_array_equal(layer.array(layer.weights), layer.view.constant(1))
    back = np.random.default_rng(2).normal(0, 1, rows.shape).astype(np.float32)
    assert float((back * rows).sum()) == pytest.approx(float((layer.images(back, 3) * x).sum()), rel=1e-4)


@pytest.mark.parametrize("op", SHAPES)
def test_moments_know_the_error_of_any_weights(op):
    draw = np.random.default_rng(3)
    layer = Layer.of(layer_of(op), 0)
    real = draw.normal(0, 1, (6, *layer.view.input(0).shape)).astype(np.float32)
    read = real + draw.normal(0.1, 0.3, real.shape).astype(np.float32)
    moments = measure(layer, real, read, None, 0)
    weights = layer.weights + draw.normal(0, 0.1, layer.weights.shape)
    bias = draw.normal(0, 1, (layer.groups, layer.outputs))
    wanted = layer.rows(real) @ layer.weights.transpose(0, 2, 1) + layer.bias.reshape(layer.groups, 1, -1)
    got = layer.rows(read) @ weights.transpose(0, 2, 1) + bias[:, None]
    np.testing.assert_allclose(moments.error(weights, bias), ((got - wanted) ** 2).mean(1), rtol=1e-3)
    np.testing.assert_allclose(moments.variance(weights), got.var(1), rtol=1e-3)
    best = moments.best_bias(weights)
    np.testing.assert_allclose((got - bias[:, None] + best[:, None] - wanted).mean(1), 0, atol=1e-5)


def random_moments(draw, groups=2, depth=4, outputs=3):
    x, w = draw.normal(0, 1, (groups, 50, depth)), draw.normal(0, 1, (groups, depth, outputs))
    x[:, :, 1] += 0.9 * x[:, :, 0]
    return Moments.of(50, [(x, x @ w)]), w.transpose(0, 2, 1)


def test_descent_never_raises_the_error_and_ends_where_no_single_step_helps():
    draw = np.random.default_rng(4)
    moments, real = random_moments(draw)
    scale = np.full((2, 3), 0.5)
    start = np.clip(np.rint(real / 0.5), -2, 1)
    codes = descend(moments, start, scale, -2, 1, sweeps=50)
    least = moments.error(codes * 0.5)
    assert (least <= moments.error(start * 0.5) + 1e-12).all()
    assert least.sum() < moments.error(start * 0.5).sum()
    for place, code in itertools.product(range(4), range(-2, 2)):
        other = codes.copy()
        other[..., place] = code
        assert (moments.error(other * 0.5) >= least - 1e-9).all()


def test_the_best_scale_is_a_minimum():
    moments, real = random_moments(np.random.default_rng(5))
    codes = np.rint(real * 3)
    scale = best_scale(moments, codes, np.ones((2, 3)))
    for factor in (0.99, 1.01):
        assert (
            moments.error(codes * scale[..., None]) <= moments.error(codes * scale[..., None] * factor) + 1e-12
        ).all()


def test_one_row_leaves_weights_as_they_are():
    draw = np.random.default_rng(9)
    x, real = draw.normal(1, 1, (1, 1, 6)), draw.normal(0, 1, (1, 2, 6))
    held = anchored(Moments.of(1, [(x, x @ real.transpose(0, 2, 1) + 5)]), real, 2.0)
    codes = descend(held, np.zeros((1, 2, 6)), np.full((1, 2), 0.1), -127, 127, sweeps=20)
    np.testing.assert_array_equal(codes, np.rint(real / 0.1))


def test_the_ridge_keeps_what_samples_do_not_see():
    draw = np.random.default_rng(6)
    x, real = draw.normal(0, 1, (1, 3, 6)), draw.normal(0, 1, (1, 2, 6))
    held = anchored(Moments.of(50, [(x, x @ real.transpose(0, 2, 1))]), real, 0.01)
    best = np.linalg.solve(held.xx, held.xy).transpose(0, 2, 1)
    np.testing.assert_allclose(best, real, atol=1e-9)


@pytest.mark.parametrize("rounding_only", [False, True])
def test_codes_stay_in_their_width(network, samples, seen, rounding_only):
    from hwsim.ptq.choose import Widths, choose
    from hwsim.simulate import SampleBatch

    coding = choose(network, seen, Widths(3, 8, ends=3))
    found = walk(network, coding, SampleBatch.of(network, samples), "dyadic", AdaQuant(rounding_only))
    for i, weights in found.weights.items():
        assert np.abs(weights.codes).max() <= 3
        if rounding_only:
            real = network.tensors[network.nodes[i].inputs[1]].data / weights.format.scale.reshape(
                -1, *[1] * (weights.codes.ndim - 1)
            )
            assert (np.abs(weights.codes - np.clip(real, -3, 3)) < 1 + 1e-5).all()


def test_clipped_normal_is_what_samples_say():
    draws = np.random.default_rng(7).normal(0.3, 1.5, 400_000)
    mean, variance = clipped_normal(np.array([0.3]), np.array([2.25]))
    kept = np.maximum(draws, 0)
    assert mean[0] == pytest.approx(kept.mean(), abs=0.01)
    assert variance[0] == pytest.approx(kept.var(), abs=0.02)
