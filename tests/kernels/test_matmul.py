import numpy as np
import pytest

from hwsim.kernels.matmul import accumulate, accumulate_int16_pairs, lifted_bias
from tests.naive.rounding import wrap


def random_case(pixels, depth, channels, largest=255):
    generator = np.random.default_rng(depth)
    rows = generator.integers(-largest, largest, (pixels, depth), np.int16, endpoint=True)
    weights = generator.integers(-128, 127, (channels, depth), np.int16, endpoint=True)
    return rows, weights, generator.integers(-(2**20), 2**20, channels, np.int32)


def naive_accumulate(rows, weights, bias):
    return [[wrap(int(b) + sum(int(x) * int(w) for x, w in zip(row, taps, strict=True)))
             for taps, b in zip(weights, bias, strict=True)] for row in rows]  # fmt: skip


@pytest.mark.parametrize(("pixels", "depth", "channels"), [(1, 1, 1), (3, 27, 5), (2, 64, 17), (4, 33, 2)])
def test_accumulate_equals_python_integers(pixels, depth, channels):
    rows, weights, bias = random_case(pixels, depth, channels)
    out = np.empty((pixels, channels), np.int32)
    accumulate(rows, weights, bias, out)
    np.testing.assert_array_equal(out, naive_accumulate(rows, weights, bias))


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_accumulate_wraps_at_32_bits():
    rows, weights = np.full((1, 80), 255, np.int16), np.full((1, 80), 127, np.int16)
    bias, out = np.array([2**31 - 1], np.int32), np.empty((1, 1), np.int32)
    accumulate(rows, weights, bias, out)
    assert out[0, 0] == wrap(2**31 - 1 + 80 * 255 * 127)


@pytest.mark.parametrize("depth", [1, 2, 7, 16])
def test_int16_pairs_saturate_each_pair_in_order(depth):
    generator = np.random.default_rng(depth)
    rows = generator.integers(0, 255, (2, depth), np.int16, endpoint=True)
    weights = generator.integers(-128, 127, (3, depth), np.int16, endpoint=True)
    rows[0], weights[0] = 255, 127
    bias, out = np.array([5, -5, 0], np.int32), np.empty((2, 3), np.int32)
    accumulate_int16_pairs(rows, weights, bias, out)
    for p in range(2):
        for c in range(3):
            products = [int(x) * int(w) for x, w in zip(rows[p], weights[c], strict=True)]
            pairs = [sum(products[k : k + 2]) for k in range(0, depth, 2)]
            assert out[p, c] == int(bias[c]) + sum(min(max(pair, -(2**15)), 2**15 - 1) for pair in pairs)


def test_lifted_bias_takes_the_lift_out_again():
    rows, weights, bias = random_case(2, 10, 3, largest=100)
    plain, lifted = np.empty((2, 3), np.int32), np.empty((2, 3), np.int32)
    accumulate(rows, weights, bias, plain)
    accumulate(rows + np.int16(128), weights, lifted_bias(weights, bias, np.int64(128)), lifted)
    np.testing.assert_array_equal(plain, lifted)
