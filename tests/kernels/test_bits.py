"""Signs, ternary planes, packed codes, patches of codes and narrow accumulators, against plain Python integers."""

from itertools import product

import numpy as np
import pytest

from hwsim.kernels.binary import pack_bits, popcount, xnor_popcount, xnor_popcount_valid
from hwsim.kernels.code_patches import code_patches
from hwsim.kernels.conv2d import Window
from hwsim.kernels.narrow import accumulate_saturating, accumulate_wrapping, wrap
from hwsim.kernels.packing import pack_codes, unpack_codes
from hwsim.kernels.ternary import pack_signs, ternary_popcount
from hwsim.quantizers import packing
from tests import naive

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # uint64 products wrap, as compiled
WORDS = [1, 63, 64, 65, 130, 300]


def packed(bits):
    words = -(-bits.shape[1] // 64)
    values, out = np.zeros((len(bits), 64 * words), np.uint8), np.empty((len(bits), words), np.uint64)
    values[:, : bits.shape[1]] = bits
    pack_bits(values, out)
    return out


def signs(shape, seed):
    return np.random.default_rng([seed, *shape]).integers(0, 2, shape) * 2 - 1


def test_bits_lie_low_first():
    bits = np.random.default_rng(5).integers(0, 2, (3, 130))
    words = [[sum(int(bit) << i for i, bit in enumerate(row[k : k + 64])) for k in (0, 64, 128)] for row in bits]
    assert packed(bits).tolist() == words


def test_popcount():
    for word in [0, 1, 2**64 - 1, 0x8000000000000001, *np.random.default_rng(0).integers(0, 2**63, 50).tolist()]:
        assert popcount(np.uint64(word)) == word.bit_count()


@pytest.mark.parametrize("depth", WORDS)
def test_xnor_is_the_dot_product_of_signs(depth):
    rows, weights, out = signs((3, depth), 1), signs((4, depth), 2), np.empty((3, 4), np.int32)
    xnor_popcount(packed(rows < 0), np.ascontiguousarray(packed(weights < 0).T), depth, out)
    np.testing.assert_array_equal(
        out, [[sum(int(a) * int(b) for a, b in zip(r, w, strict=True)) for w in weights] for r in rows]
    )


def test_xnor_of_every_four_bits():
    every = np.array(list(product((1, -1), repeat=4)))
    out = np.empty((16, 16), np.int32)
    xnor_popcount(packed(every < 0), np.ascontiguousarray(packed(every < 0).T), 4, out)
    np.testing.assert_array_equal(out, every @ every.T)


@pytest.mark.parametrize("padding", [1, -1, 0])
@pytest.mark.parametrize(("size", "channels", "stride"), [((4, 5), 3, 1), ((5, 4), 8, 2)])
def test_binary_convolution_with_each_padding(size, channels, stride, padding):
    images, weights = signs((2, *size, channels), 3), signs((4, 3, 3, channels), 4)
    shape = tuple(-(-n // stride) for n in size)
    pads = [naive.same_padding(n, 3, stride)[0] for n in size]
    window, depth = Window(3, 3, stride, stride, 1, 1, *pads), 9 * channels
    padded = np.full((2, size[0] + 4, size[1] + 4, channels), padding)
    padded[:, 2:-2, 2:-2] = images
    expected = np.zeros((2, *shape, 4), int)
    for n, y, x, c in np.ndindex(*expected.shape):
        top, left = y * stride - pads[0] + 2, x * stride - pads[1] + 2
        taps = padded[n, top : top + 3, left : left + 3].reshape(-1).tolist()
        expected[n, y, x, c] = sum(a * b for a, b in zip(taps, weights[c].reshape(-1).tolist(), strict=True))
    patches = np.empty((2, *shape, depth), np.uint8)
    code_patches((images < 0).astype(np.uint8), window, np.uint8(padding == -1), patches)
    rows, out = packed(patches.reshape(-1, depth)), np.empty((2 * shape[0] * shape[1], 4), np.int32)
    taps = np.ascontiguousarray(packed(weights.reshape(4, depth) < 0).T)
    if padding:
        xnor_popcount(rows, taps, depth, out)
    else:
        inside = np.empty_like(patches)
        code_patches(np.ones(images.shape, np.uint8), window, np.uint8(0), inside)
        xnor_popcount_valid(rows, packed(inside.reshape(-1, depth)), taps, out)
    np.testing.assert_array_equal(out.reshape(expected.shape), expected)


@pytest.mark.parametrize("depth", WORDS)
def test_ternary_planes_are_the_dot_product(depth):
    g = np.random.default_rng(depth)
    rows, weights = (g.integers(-1, 2, (n, depth)).astype(np.int8) for n in (3, 4))
    planes = []
    for values in (rows, weights):
        plus, minus = (np.empty((len(values), -(-depth // 64)), np.uint64) for _ in range(2))
        pack_signs(values, plus, minus)
        assert not (plus & minus).any()
        planes += [plus, minus]
    out = np.empty((3, 4), np.int32)
    ternary_popcount(*planes, out)
    np.testing.assert_array_equal(
        out, [[sum(int(a) * int(b) for a, b in zip(r, w, strict=True)) for w in weights] for r in rows]
    )


def test_every_pair_of_ternary_digits():
    every = np.array(list(product((-1, 0, 1), repeat=3)), np.int8)
    plus, minus, out = np.empty((27, 1), np.uint64), np.empty((27, 1), np.uint64), np.empty((27, 27), np.int32)
    pack_signs(every, plus, minus)
    ternary_popcount(plus, minus, plus, minus, out)
    np.testing.assert_array_equal(out, every.astype(int) @ every.T.astype(int))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64])
@pytest.mark.parametrize("bits", range(1, 9))
def test_packed_codes_are_the_formats(bits, count):
    codes = np.random.default_rng(count).integers(0, 1 << bits, count).astype(np.uint8)
    stream, back = np.empty(-(-count * bits // 8), np.uint8), np.empty(count, np.uint8)
    pack_codes(codes, bits, stream)
    assert stream.tobytes() == packing.pack(codes, bits, signed=False).tobytes()
    unpack_codes(stream, bits, back)
    np.testing.assert_array_equal(back, codes)


@pytest.mark.parametrize("bits", [2, 8, 12, 16, 24, 32])
def test_wrap_is_modulo(bits):
    for value in (0, 1, -1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), -(2 ** (bits - 1)) - 1, 123456789012, -98765432109):
        assert wrap(np.int64(value), bits) == (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


@pytest.mark.parametrize("bits", [8, 12, 16, 20, 32])
def test_narrow_accumulators_in_the_stated_order(bits):
    g = np.random.default_rng(bits)
    rows, weights = g.integers(-255, 256, (3, 20)).astype(np.int16), g.integers(-128, 128, (4, 20)).astype(np.int16)
    bias, out = g.integers(-(2**15), 2**15, 4).astype(np.int32), np.empty((3, 4), np.int32)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    accumulate_wrapping(rows, weights, bias, bits, out)
    for p, c in np.ndindex(3, 4):
        total = (int(bias[c]) - low) % 2**bits + low
        for a, w in zip(rows[p].tolist(), weights[c].tolist(), strict=True):
            total = (total + a * w - low) % 2**bits + low
        assert out[p, c] == total
    accumulate_saturating(rows, weights, bias, bits, out)
    for p, c in np.ndindex(3, 4):
        total = min(max(int(bias[c]), low), high)
        for a, w in zip(rows[p].tolist(), weights[c].tolist(), strict=True):
            total = min(max(total + a * w, low), high)
        assert out[p, c] == total


def test_the_order_of_a_saturating_sum_counts():
    bias, out = np.zeros(1, np.int32), np.empty((1, 1), np.int32)
    for weights, expected in (([100, 100, -100], 27), ([100, -100, 100], 100)):
        accumulate_saturating(np.ones((1, 3), np.int16), np.array([weights], np.int16), bias, 8, out)
        assert out[0, 0] == expected
