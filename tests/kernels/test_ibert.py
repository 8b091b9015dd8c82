"""I-BERT's functions against plain Python integers, and near the real functions that they stand for."""

import math
from fractions import Fraction

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.kernels.ibert import integer_exp, integer_gelu, integer_sqrt, layer_norm_ibert
from hwsim.quantizers.ibert import exp_constants, gelu_constants, layer_norm_constants
from tests.build import codes, single, tensor

SCALES = [0.5, 0.1, 0.0371, 0.01, 1e-3, 2.0**-15]


def exp_oracle(q, scale):
    """Published step by step; Python's integers, floor division and floats for the constants."""
    x0 = math.floor(-0.6931 / scale)
    b, c = math.floor(0.96963238 / 0.35815147 / scale), math.floor(1.0 / 0.35815147 / scale**2)
    q = max(q, 30 * x0)
    z = q // x0
    r = q - x0 * z
    return max((r * (r + b) + c) * 2 ** (30 - z), 0)


@pytest.mark.parametrize("scale", SCALES)
def test_exponential(scale):
    terms, unit = exp_constants(scale)
    for q in [0, -1, -2, -50, -255, -1000, terms[0], terms[0] - 1, 40 * terms[0]]:
        assert integer_exp(np.int64(q), *terms) == exp_oracle(q, scale)
    if scale < 0.02:
        for q in range(-255, 1, 5):
            assert abs(exp_oracle(q, scale) * unit - math.exp(q * scale)) < 0.03


def gelu_oracle(q, scale):
    inner = scale / 1.4142
    b, c = math.floor(-1.769 / inner), math.floor(1.0 / -0.2888 / inner**2)
    value = (min(abs(q), -b) + b) ** 2 + c
    curve = math.floor(Fraction((q > 0) * value - (q < 0) * value, 2**14))
    return q * (curve + math.floor(1.0 / (inner**2 * -0.2888 * 2.0**14)))


@pytest.mark.parametrize("scale", [0.05, 0.01, 1e-3])
def test_gelu(scale):
    terms, unit = gelu_constants(scale)
    for q in [*range(-128, 128), -30000, 30000, 4000, -4000]:
        assert integer_gelu(np.int64(q), *terms) == gelu_oracle(q, scale)
    if scale == 1e-3:
        for q in range(-4000, 4001, 100):
            real = q * scale
            exact = real * 0.5 * math.erfc(-real / math.sqrt(2))
            assert abs(int(integer_gelu(np.int64(q), *terms)) * unit - exact) < 0.03


def test_square_root():
    squares = [n * n + d for n in (12345, 2**30) for d in (-1, 0, 1)]
    values = [*range(3000), 2**31 - 1, 2**32 - 1, 2**62 - 1, *squares]
    for value in values:
        assert integer_sqrt(np.int64(value)) == math.isqrt(value)


@pytest.mark.parametrize("shift", [0, 3])
def test_layer_norm(shift):
    generator = np.random.default_rng(1)
    for depth in (1, 2, 7, 64):
        rows = generator.integers(-3000, 3000, (5, depth))
        rows[0] = 7
        gamma, beta = generator.uniform(0.5, 2, depth), generator.normal(0, 1, depth)
        offsets, unit = layer_norm_constants(gamma, beta)
        out = np.empty(rows.shape, np.int64)
        layer_norm_ibert(rows, shift, offsets, out)
        for row, got in zip(rows.tolist(), out.tolist(), strict=True):
            mean = round(Fraction(sum(row), depth))
            deviation = max(math.isqrt(sum((v - mean >> shift) ** 2 for v in row)) << shift, 1)
            factor = 2**31 // deviation
            assert got == [(v - mean) * factor // 2 + int(o) for v, o in zip(row, offsets, strict=True)]
        if depth == 64 and shift == 0:
            real = (rows[1:] - rows[1:].mean(1, keepdims=True)) / rows[1:].std(1, keepdims=True) * gamma + beta
            assert np.abs(out[1:] * unit * gamma - real).max() < 0.01


@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -128), ("uint8", 0)])
def test_softmax(dtype, zero_point):
    generator = np.random.default_rng(2)
    for scale in (0.1, 0.02, 0.003):
        scale = float(np.float32(scale))
        x, y = tensor("x", (1, 11), dtype, scale, 3), tensor("y", (1, 11), dtype, 1 / 256, zero_point)
        graph, rows = single("softmax", [x], y, beta=1.0), codes(generator, (40, 11), dtype)
        got = hwsim.simulate(graph, rows, "ibert").outputs[0]
        unit = 0.35815147 * scale**2 / 2.0**30
        for row, found in zip(rows.tolist(), got.tolist(), strict=True):
            parts = [round(exp_oracle(q - max(row), scale) * (unit * 32767.0)) for q in row]
            parts = [min(part, 32767) for part in parts]
            shares = [part * (2**32 // sum(parts)) >> 24 for part in parts]
            assert found == [min(max(share + zero_point, x_min(dtype)), x_min(dtype) + 255) for share in shares]
            real = np.exp(np.array(row) * scale - max(row) * scale)
            assert np.abs(np.array(found) - zero_point - 256 * real / real.sum()).max() < 6


def x_min(dtype):
    return int(np.iinfo(dtype).min)


def test_a_scale_too_small_is_refused():
    x, y = tensor("x", (1, 3), "int8", 1e-6, 0), tensor("y", (1, 3), "int8", 1 / 256, -128)
    with pytest.raises(UnsupportedError, match=r"^softmax 'y': input scale times beta is 1e-06, output"):
        hwsim.compile(single("softmax", [x], y, beta=1.0), "ibert")
