"""Gradients against differences of the loss, operator by operator."""

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.engines import engine
from hwsim.errors import UnsupportedError
from hwsim.graph.build import Builder
from hwsim.ptq.bias_tuning import Tuning, bias_tuning, logits
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.gradient import Differentiable
from hwsim.ptq.history import layer_errors
from hwsim.ptq.lower import lower
from hwsim.ptq.spell_out import spelled_out
from hwsim.ptq.walk import decode, encode
from hwsim.simulate import SampleBatch

WINDOW = {"stride_h": 2, "stride_w": 2, "padding": "same"}


def one(op, shape, out_shape, constants=(), **attributes):
    builder = Builder(op)
    x = builder.input("x", shape)
    inputs = [x, *(builder.constant(f"c{i}", c) for i, c in enumerate(constants))]
    return builder.graph(builder.node(op, inputs, out_shape, **attributes))


def norm_spelled_out():
    whole = one("layer_norm", (1, 3, 8), (1, 3, 8), (normal(8), normal(8)), epsilon=1e-3)
    return spelled_out(replace(whole, name="norm spelled out"), engine("dyadic"))


def squared():
    builder = Builder("squared")
    x = builder.input("x", (1, 2, 3, 4))
    return builder.graph(builder.node("batch_matmul", (x, x), (1, 2, 3, 3), adj_x=False, adj_y=True))


def normal(*shape):
    return np.random.default_rng(sum(shape)).normal(0, 1, shape).astype(np.float32)


CASES = [
    one("conv2d", (1, 5, 6, 4), (1, 3, 3, 6), (normal(6, 3, 3, 2), normal(6)), **WINDOW, dilation_h=1, dilation_w=1,
        activation="relu"),
    one("conv2d", (1, 7, 7, 2), (1, 3, 3, 3), (normal(3, 3, 3, 2),), stride_h=1, stride_w=1, padding="valid",
        dilation_h=2, dilation_w=2, activation="none"),
    one("depthwise_conv2d", (1, 5, 5, 3), (1, 3, 3, 6), (normal(1, 3, 3, 6), normal(6)), **WINDOW, dilation_h=1,
        dilation_w=1, activation="relu6"),
    one("fully_connected", (1, 7), (1, 4), (normal(4, 7), normal(4)), activation="none"),
    one("average_pool_2d", (1, 5, 5, 3), (1, 3, 3, 3), **WINDOW, filter_h=3, filter_w=3, activation="none"),
    one("max_pool_2d", (1, 5, 5, 3), (1, 3, 3, 3), **WINDOW, filter_h=3, filter_w=3, activation="none"),
    one("mean", (1, 4, 3, 2), (1, 2), (np.array([1, 2], np.int32),), keep_dims=False),
    one("add", (1, 4, 3, 2), (1, 4, 3, 2), (normal(1, 1, 1, 2),), activation="relu"),
    one("mul", (1, 4, 3, 2), (1, 4, 3, 2), (normal(1, 1, 1, 2),), activation="none"),
    one("sub", (1, 4, 3, 2), (1, 4, 3, 2), (normal(1, 1, 1, 2),), activation="none"),
    one("pad", (1, 3, 3, 2), (1, 5, 4, 2), (np.array([[0, 0], [1, 1], [1, 0], [0, 0]], np.int32),)),
    one("strided_slice", (1, 4, 4, 2), (1, 2, 2, 2),
        [np.array(v, np.int32) for v in ([0] * 4, [1, 4, 4, 2], [1, 2, 2, 1])], begin_mask=0, end_mask=0),
    one("softmax", (1, 5), (1, 5), beta=1.0),
    one("gelu", (1, 9), (1, 9), approximate=False),
    one("gelu", (1, 9), (1, 9), approximate=True),
    one("layer_norm", (1, 3, 8), (1, 3, 8), (normal(8), normal(8)), epsilon=1e-3),
    one("batch_matmul", (1, 2, 3, 4), (1, 2, 3, 5), (normal(1, 1, 4, 5),), adj_x=False, adj_y=False),
    one("batch_matmul", (1, 4, 3), (2, 3, 5), (normal(2, 5, 4),), adj_x=True, adj_y=True),
    squared(),
    norm_spelled_out(),
]  # fmt: skip


@pytest.mark.parametrize("graph", CASES, ids=lambda g: g.name)
def test_gradient_of_the_input_is_the_slope_of_the_output(graph):
    generator, out = np.random.default_rng(7), graph.outputs[0]
    network = Differentiable(graph, None, (out,))
    x, direction = (generator.normal(0, 1, (2, *graph.tensors[0].shape)).astype(np.float32) for _ in range(2))
    weight = generator.normal(0, 1, (2, *graph.tensors[out].shape)).astype(np.float32)
    got = network.forward({0: x})[out]
    np.testing.assert_allclose(
        got.reshape(2, -1),
        hwsim.simulate(graph, x.reshape(2, *x.shape[2:]), "float").outputs[0].reshape(2, -1),
        atol=1e-5,
    )
    slope = network.backward({out: weight})[0][0]
    step = 1e-3
    ends = [(network.forward({0: x + sign * step * direction})[out].astype(float) * weight).sum() for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float((slope * direction).sum()), rel=0.02, abs=0.02)


def test_gradients_of_biases_and_gains(network, samples):
    end = logits(network)[0]
    float_network = Differentiable(network, None, end)
    inputs = {0: samples[:8].reshape(8, 1, 8, 8, 3)}
    weight = np.random.default_rng(0).normal(0, 1, float_network.forward(inputs)[end[0]].shape).astype(np.float32)
    float_network.forward(inputs)
    _, found = float_network.backward({end[0]: weight})
    for kind, key, value in float_network.parameters.items():
        change = np.full(value.shape, 1e-3, np.float32)
        value += change
        high = (float_network.forward(inputs)[end[0]].astype(float) * weight).sum()
        value -= 2 * change
        low = (float_network.forward(inputs)[end[0]].astype(float) * weight).sum()
        value += change
        expected = float(getattr(found, kind)[key].sum())
        assert (high - low) / 2e-3 == pytest.approx(expected, rel=0.05, abs=0.05), (kind, key)


def test_gradients_of_codes(network, samples, seen):
    coding, end = choose(network, seen, Widths(3, 4)), logits(network)[0][0]
    student = Differentiable(network, coding, (end,), codes=True)
    got = student.forward({0: samples[:8].reshape(8, 1, 8, 8, 3)})[end]
    weight = np.random.default_rng(0).normal(0, 1, got.shape).astype(np.float32)
    _, found = student.backward({end: weight})
    for i in student.layers:
        codes = student.whole(i)
        np.testing.assert_array_equal(student.layers[i].array(codes), coding.weights[i].codes)
        # outputs before the bias are linear in a channel's gain and in its codes alike
        np.testing.assert_allclose((found.weight[i] * codes).sum(2).reshape(-1), found.gain[i], rtol=2e-3, atol=2e-3)
    slope, read = (weight * student.rounded[end][0]).reshape(8, 5), student.read[5].reshape(8, 96)
    np.testing.assert_allclose(
        found.weight[5][0], slope.T @ read * coding.weights[5].format.scale[:, None], rtol=1e-3, atol=1e-5
    )


def test_emulation_stays_close_to_the_engine(network, samples, seen):
    coding = choose(network, seen, Widths(4, 8))
    end = logits(network)[0][0]
    emulated = Differentiable(network, coding, (end,)).forward({0: samples.reshape(40, 1, 8, 8, 3)})[end]
    integers = lower(network, coding)
    run = hwsim.simulate(integers, encode(samples, coding.activations[0]), "dyadic", keep_tensors=True)
    exact = decode(run.tensors["f"], coding.activations[end])
    steps = np.abs(emulated.reshape(exact.shape) - exact) / coding.activations[end].scale[0]
    assert np.median(steps) < 0.5
    assert steps.max() < 3


def test_bias_tuning_lowers_the_error_and_keeps_codes(network, samples, seen):
    coding = choose(network, seen, Widths(3, 3))
    batch = SampleBatch.of(network, samples)
    better = bias_tuning(network, coding, batch, Tuning(steps=60, batch=20, rate=1e-2))
    for i, weights in coding.weights.items():
        np.testing.assert_array_equal(weights.codes, better.weights[i].codes)
    before, after = (layer_errors(network, c, "dyadic", batch)["dense"] for c in (coding, better))
    assert after < before


def test_an_operator_without_gradient_is_named():
    graph = one("hard_swish", (1, 4), (1, 4))
    with pytest.raises(
        UnsupportedError, match=r"^hard_swish 'hard_swish': hwsim has no gradient of it; leave gradients out$"
    ):
        Differentiable(graph, None, graph.outputs)
