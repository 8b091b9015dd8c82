"""Steps on the float network: it must stay what it was."""

import numpy as np
import pytest

import hwsim
from hwsim.graph.build import Builder
from hwsim.ptq.equalize import absorb, equalize
from hwsim.ptq.layers import Layer
from hwsim.ptq.moments import measure
from hwsim.ptq.pairs import largest_by_input, largest_by_output, pairs
from hwsim.ptq.split import split_outliers

OPTIONS = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}


@pytest.fixture(scope="module")
def chain():
    """conv, depthwise, conv without padding, fully connected is no pair (a reshape lies between)."""
    draw, builder = np.random.default_rng(5), Builder("chain")

    def layer(op, x, shape, out, activation, padding):
        weights = draw.normal(0, 0.5, shape) * 10.0 ** draw.uniform(
            -2, 1, shape[3] if op != "conv2d" else (shape[0], 1, 1, 1)
        )
        constants = [
            builder.constant("w", weights.astype(np.float32)),
            builder.constant("b", draw.normal(1, 1, out[-1]).astype(np.float32)),
        ]
        return builder.node(op, [x, *constants], out, activation=activation, padding=padding, **OPTIONS)

    x = builder.input("x", (1, 6, 6, 3))
    x = layer("conv2d", x, (4, 3, 3, 3), (1, 6, 6, 4), "relu", "same")
    x = layer("depthwise_conv2d", x, (1, 3, 3, 8), (1, 6, 6, 8), "relu", "same")
    x = layer("conv2d", x, (6, 1, 1, 8), (1, 6, 6, 6), "relu", "valid")
    x = layer("conv2d", x, (5, 2, 2, 6), (1, 5, 5, 5), "none", "valid")
    return builder.graph(x)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(6).normal(0, 1, (16, 6, 6, 3)).astype(np.float32)


def outputs(graph, x):
    return hwsim.simulate(graph, x, "float").outputs[0].astype(np.float64)


def close(a, b):
    return np.abs(a - b).max() < 1e-4 * np.abs(a).max()


def test_pairs_are_found(chain):
    assert [(p.first, p.second) for p in pairs(chain)] == [(0, 1), (1, 2), (2, 3)]


def test_equalized_channels_reach_equally_far_and_compute_the_same(chain, images):
    even = equalize(chain)
    for pair in pairs(even):
        np.testing.assert_allclose(largest_by_output(even, pair.first), largest_by_input(even, pair.second), rtol=0.02)
    assert not np.allclose(largest_by_output(chain, 0), largest_by_input(chain, 1), rtol=0.5)
    assert close(outputs(chain, images), outputs(even, images))


def test_absorbed_biases_compute_the_same_where_outputs_stay_positive(chain, images):
    graph = chain
    layer = Layer.of(graph, 2)
    given = hwsim.simulate(graph, images, "float", keep_tensors=True).tensors[layer.view.input(0).name][:, None]
    moments = measure(layer, given, given, None, 0)
    positive = given.reshape(-1, 8) @ layer.weights[0].T + layer.bias
    lifted = list(graph.tensors)
    bias = graph.nodes[2].inputs[2]
    rise = np.maximum(0, 0.1 - positive.min(0)) + 4 * positive.std(0)
    lifted[bias] = type(lifted[bias])(
        "lifted", lifted[bias].shape, "float32", None, (lifted[bias].data + rise).astype(np.float32)
    )
    graph = type(graph)("lifted", tuple(lifted), graph.nodes, graph.inputs, graph.outputs)
    moments = measure(Layer.of(graph, 2), given, given, None, 0)
    shift = np.maximum(moments.mean_y - 3 * np.sqrt(moments.yy), 0).reshape(-1)
    after = absorb(graph, 2, moments)
    np.testing.assert_allclose(graph.tensors[bias].data - after.tensors[bias].data, shift, rtol=1e-4, atol=1e-4)
    assert (shift > 0).any()
    if ((positive + rise).min(0) >= shift).all():
        assert close(outputs(graph, images), outputs(after, images))


def test_absorption_leaves_padding_layers_alone(chain, images):
    layer = Layer.of(chain, 0)
    moments = measure(layer, images[:, None], images[:, None], None, 0)
    assert absorb(chain, 0, moments) is chain


def test_split_channels_compute_the_same_with_smaller_weights(chain, images):
    wide = split_outliers(chain, 0.2)
    assert wide.tensors[wide.nodes[2].outputs[0]].shape == (1, 6, 6, 8)
    assert largest_by_input(wide, 3).max() < largest_by_input(chain, 3).max()
    assert close(outputs(chain, images), outputs(wide, images))
