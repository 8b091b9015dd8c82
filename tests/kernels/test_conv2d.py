import numpy as np
import pytest

from hwsim.kernels.conv2d import Window, conv2d, conv2d_int16_pairs
from hwsim.kernels.depthwise_conv2d import depthwise_conv2d
from hwsim.kernels.fully_connected import fully_connected, fully_connected_int16_pairs
from hwsim.kernels.requantize import ROUNDINGS, OutputStage
from tests import naive
from tests.build import codes

GENERATOR = np.random.default_rng(11)


def sums_only(channels):
    none = np.zeros(channels, np.int64)
    return OutputStage(ROUNDINGS["accumulator"], none, none, none.astype(np.float64), 0, -(2**31), 2**31 - 1)


def window_of(size, weights, stride, dilation, padding):
    pairs = [naive.same_padding(size[a], weights[a], stride, dilation) for a in (0, 1)]
    if padding == "same":
        (top, _, height), (left, _, width) = pairs
    else:
        top = left = 0
        height, width = ((size[a] - (weights[a] - 1) * dilation - 1) // stride + 1 for a in (0, 1))
    return Window(*weights, stride, stride, dilation, dilation, top, left), height, width


CASES = [("same", 1, 1, 1), ("same", 2, 1, 2), ("valid", 1, 2, 1), ("valid", 2, 1, 3), ("same", 1, 2, 1)]


@pytest.mark.parametrize(("padding", "stride", "dilation", "groups"), CASES)
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_conv2d_sums_equal_python_integers(padding, stride, dilation, groups, dtype):
    images, weights = codes(GENERATOR, (2, 6, 5, 2 * groups), dtype), codes(GENERATOR, (3 * groups, 3, 2, 2))
    bias = GENERATOR.integers(-1000, 1000, 3 * groups, np.int32)
    window, height, width = window_of((6, 5), (3, 2), stride, dilation, padding)
    out = np.empty((2, height, width, 3 * groups), np.int32)
    packed = weights.astype(np.int16).reshape(groups, 3, -1)
    conv2d(images, packed, bias, 7, window, sums_only(3 * groups), out)
    options = {"stride": (stride, stride), "dilation": (dilation, dilation), "padding": padding, "groups": groups}
    np.testing.assert_array_equal(out, naive.conv2d(images, weights, bias, input_zero_point=7, **options))


@pytest.mark.parametrize(("dtype", "raised"), [("int8", 128), ("uint8", 0)])
def test_conv2d_int16_pairs_is_exact_while_pairs_fit(dtype, raised):
    images = codes(GENERATOR, (1, 4, 4, 3), dtype)
    weights = GENERATOR.integers(-64, 64, (2, 3, 3, 3), np.int8, endpoint=True)
    bias, stage = np.array([10, -10], np.int32), sums_only(2)
    window, height, width = window_of((4, 4), (3, 3), 1, 1, "same")
    out = np.empty((1, height, width, 2), np.int32)
    conv2d_int16_pairs(raised, images, weights.astype(np.int16).reshape(1, 2, -1), bias, 9, window, stage, out)
    np.testing.assert_array_equal(out, naive.conv2d(images, weights, bias, padding="same", input_zero_point=9))


@pytest.mark.parametrize(("padding", "stride", "dilation", "multiplier"), CASES)
def test_depthwise_sums_equal_python_integers(padding, stride, dilation, multiplier):
    images, weights = codes(GENERATOR, (2, 6, 5, 3)), codes(GENERATOR, (1, 3, 2, 3 * multiplier))
    bias = GENERATOR.integers(-1000, 1000, 3 * multiplier, np.int32)
    window, height, width = window_of((6, 5), (3, 2), stride, dilation, padding)
    out = np.empty((2, height, width, 3 * multiplier), np.int32)
    depthwise_conv2d(images, weights[0].astype(np.int16), bias, -4, window, sums_only(3 * multiplier), out)
    options = {"stride": (stride, stride), "dilation": (dilation, dilation), "padding": padding}
    np.testing.assert_array_equal(out, naive.depthwise_conv2d(images, weights, bias, input_zero_point=-4, **options))


def test_fully_connected_sums_equal_python_integers():
    rows, weights = codes(GENERATOR, (3, 19)), codes(GENERATOR, (4, 19))
    bias, out = GENERATOR.integers(-1000, 1000, 4, np.int32), np.empty((3, 4), np.int32)
    fully_connected(rows, weights.astype(np.int16), bias, 5, sums_only(4), out)
    np.testing.assert_array_equal(out, naive.fully_connected(rows, weights, bias, input_zero_point=5))


def test_fully_connected_int16_pairs_is_exact_while_pairs_fit():
    rows, weights = codes(GENERATOR, (3, 19)), GENERATOR.integers(-64, 64, (4, 19), np.int8, endpoint=True)
    bias, out = GENERATOR.integers(-1000, 1000, 4, np.int32), np.empty((3, 4), np.int32)
    fully_connected_int16_pairs(128, rows, weights.astype(np.int16), bias, 5, sums_only(4), out)
    np.testing.assert_array_equal(out, naive.fully_connected(rows, weights, bias, input_zero_point=5))
