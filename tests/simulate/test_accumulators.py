from itertools import product

import numpy as np
import pytest

from hwsim.simulate.accumulators import accumulators
from tests.build import codes, constant, single, tensor


def layer(weights, bias, zero_point=0, dtype="int8"):
    rows, depth = np.shape(weights)
    return single(
        "fully_connected",
        [
            tensor("x", (1, depth), dtype, zero_point=zero_point),
            tensor("w", (rows, depth), data=weights),
            constant("b", bias),
        ],
        tensor("y", (1, rows), dtype),
    )


@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
@pytest.mark.parametrize("seed", range(3))
def test_bound_is_met_by_some_input_and_left_by_none(seed, zero_point):
    """Over all corners of the input and all orders' worst prefixes, in plain Python integers."""
    generator = np.random.default_rng(seed)
    weights, bias = codes(generator, (2, 5)), generator.integers(-3000, 3000, 2)
    (found,) = accumulators(layer(weights, bias, zero_point))
    lowest = highest = 0
    for row, offset in zip(weights.tolist(), bias.tolist(), strict=True):
        for corner in product((-128, 127), repeat=5):
            terms = [(x - zero_point) * w for x, w in zip(corner, row, strict=True)] + [offset]
            highest = max(highest, sum(t for t in terms if t > 0))
            lowest = min(lowest, sum(t for t in terms if t < 0))
    assert (found.low, found.high) == (lowest, highest)
    assert -(2 ** (found.bits - 1)) <= found.low
    assert found.high < 2 ** (found.bits - 1)
    assert not (-(2 ** (found.bits - 2)) <= found.low and found.high < 2 ** (found.bits - 2))


def test_depthwise_channels_are_apart():
    weights = np.ones((1, 3, 3, 2))
    weights[..., 1] = 10
    graph = single(
        "depthwise_conv2d",
        [tensor("x", (1, 4, 4, 2)), tensor("w", (1, 3, 3, 2), data=weights), None],
        tensor("y", (1, 4, 4, 2)),
        padding="same", stride_h=1, stride_w=1, dilation_h=1, dilation_w=1, multiplier=1, activation="none",
    )  # fmt: skip
    (found,) = accumulators(graph)
    assert (found.low, found.high) == (-128 * 90, 127 * 90)


def test_activations_of_transpose_conv_are_its_third_input():
    weights = np.arange(-6, 6).reshape(2, 2, 1, 3)
    inputs = [constant("shape", (1, 4, 2, 2)), tensor("w", weights.shape, data=weights),
              tensor("x", (1, 2, 2, 3), "int16"), constant("b", [70, -9], "int64")]  # fmt: skip
    options = {"padding": "valid", "stride_h": 2, "stride_w": 1, "activation": "none"}
    (found,) = accumulators(single("transpose_conv", inputs, tensor("y", (1, 4, 2, 2), "int16"), **options))
    assert (found.low, found.high) == (-32767 * 21, 32768 * 21 + 70)


@pytest.mark.parametrize("adj_y", [False, True])
def test_columns_of_a_constant_matrix_are_apart(adj_y):
    weights = np.array([[[1, 10], [2, 20], [-3, 0]]])
    stored = weights.swapaxes(-1, -2) if adj_y else weights
    ends = [tensor("x", (1, 4, 3)), tensor("w", stored.shape, data=stored)], tensor("y", (1, 4, 2))
    (found,) = accumulators(single("batch_matmul", *ends, adj_x=False, adj_y=adj_y, asymmetric_quantize_inputs=False))
    assert (found.low, found.high) == (-128 * 30, 127 * 30)


def test_layers_without_weights_have_no_sum():
    assert accumulators(single("add", [tensor("a", (1, 4)), tensor("b", (1, 4))], tensor("y", (1, 4)))) == []
