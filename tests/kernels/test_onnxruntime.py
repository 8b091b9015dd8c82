"""ONNX Runtime's elementwise kernels and sums over one power of two, against fractions and float32 step by step."""

import math
from fractions import Fraction

import numpy as np
import pytest

from hwsim.kernels.add import AddParams
from hwsim.kernels.conv2d import Window
from hwsim.kernels.dyadic import MODES, add_common_shift
from hwsim.kernels.mul import MulParams
from hwsim.kernels.onnxruntime import (
    add_onnxruntime,
    fused_multiply_add,
    mul_onnxruntime,
    quantize_divided_half_even,
)
from hwsim.kernels.pooling import average_pool_2d_truncated
from hwsim.kernels.quantize import quantize_fused_half_even
from tests.naive.rounding import clamp, half_away, half_up

PAIRS = np.stack([a.reshape(1, -1) for a in np.meshgrid(np.arange(-128, 128, 17), np.arange(-128, 128, 13))]).astype(
    np.int8
)


def nearest_float32(exact):
    """The float32 nearest to a fraction, ties to even, for normal numbers."""
    low = np.float32(float(exact))
    around = [np.nextafter(low, np.float32(side)) for side in (-np.inf, np.inf)]
    gaps = [(abs(Fraction(float(v)) - exact), int(v.view(np.int32)) & 1, float(v)) for v in (low, *around)]
    return min(gaps)[2]


def fused(a, b, c):
    return nearest_float32(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))


def test_a_fused_multiply_add_rounds_once():
    g = np.random.default_rng(0)
    triples = [(g.integers(-255, 256), g.uniform(1e-3, 4), g.normal(0, 300)) for _ in range(3000)]
    near = 1 + 2.0**-20, 1 - 2.0**-20  # their product is 1 less 2^-40, which float64 loses beside 2^24
    triples += [(s * near[0], t * near[1], u * 2.0**24 + v) for s in (1, -1) for t in (1, -1) for u in (1, -1)
                for v in (-4, -2, 0, 2, 4, 6)]  # fmt: skip
    twice = 0
    for triple in triples:
        a, b, c = (np.float32(value) for value in triple)
        assert fused_multiply_add(a, b, c) == fused(a, b, c), (a, b, c)
        twice += np.float32(np.float64(a) * np.float64(b) + np.float64(c)) != fused(a, b, c)
    assert twice > 0


@pytest.mark.parametrize("ratios", [(0.5, 0.25), (0.37, 1.91), (1.0, 0.01)])
def test_sum_of_two_fused_steps(ratios):
    ratios, constant = np.array(ratios, np.float32), np.float32(3.3)
    out = np.empty(PAIRS[0].shape, np.int8)
    add_onnxruntime(PAIRS[0], PAIRS[1], ratios, constant, -100, 127, out)
    for a, b, code in zip(PAIRS[0, 0].tolist(), PAIRS[1, 0].tolist(), out[0].tolist(), strict=True):
        inner = fused(b, ratios[1], constant)
        assert code == clamp(round(Fraction(fused(a, ratios[0], inner))), -100, 127)


@pytest.mark.parametrize("zero_point", [0, 35])
def test_product_takes_the_zero_point_before_it_rounds(zero_point):
    params = MulParams((3, -7), 0, 0, 0.5, zero_point, -128, 120)
    out = np.empty(PAIRS[0].shape, np.int8)
    mul_onnxruntime(PAIRS[0], PAIRS[1], params, out)
    for a, b, code in zip(PAIRS[0, 0].tolist(), PAIRS[1, 0].tolist(), out[0].tolist(), strict=True):
        assert code == clamp(round(Fraction((a - 3) * (b + 7), 2) + zero_point), -128, 120)


def test_quantize_divides_and_limits_before_it_rounds():
    values = np.array([[0.05, 0.15, 0.25, -0.05, 1e9, -1e9, np.inf, -np.inf, 12.74, 12.76, np.nan]], np.float32)
    out = np.empty(values.shape, np.uint8)
    quantize_divided_half_even(values, 0.1, 128, 0, 255, out)
    quotients = (values[0, :-1].astype(np.float32) / np.float32(0.1)).tolist()
    limited = [clamp(q, -128, 127) for q in quotients]
    assert out[0].tolist() == [round(Fraction(q)) + 128 for q in limited] + [0]


def test_fbgemm_quantizes_by_one_fused_step_with_the_zero_point_inside():
    scale, zero_point = np.float32(0.0209597815), 102
    inverse = np.float32(1) / scale
    near_ties = ((np.arange(-110, 160) + 0.5) * scale).astype(np.float32)
    values = np.concatenate([near_ties, np.float32([0.82791126, 1e9, -1e9, np.nan])])[None]
    out = np.empty(values.shape, np.uint8)
    quantize_fused_half_even(values, inverse, zero_point, 0, 255, out)
    expected = [clamp(round(Fraction(fused(v, inverse, np.float32(zero_point)))), 0, 255) for v in values[0, :-3]]
    assert out[0].tolist() == [*expected, 255, 0, 0]
    assert out[0, 270] == 142  # what torch 2.13.0 gives; rounding the product first gives 141


@pytest.mark.parametrize("mode", MODES)
def test_sum_over_one_power_of_two(mode):
    ways = {"half_up": half_up, "half_away": half_away, "half_even": round, "floor": math.floor, "truncate": math.trunc}
    params = AddParams((1, -2), (5, 3), (0, 0), 0, 0, 3, 4, -90, 127)
    out = np.empty(PAIRS[0].shape, np.int8)
    add_common_shift(PAIRS[0], PAIRS[1], params, MODES[mode], out)
    for a, b, code in zip(PAIRS[0, 0].tolist(), PAIRS[1, 0].tolist(), out[0].tolist(), strict=True):
        assert code == clamp(ways[mode](Fraction(5 * (a - 1) + 3 * (b + 2), 8)) + 4, -90, 127)


def test_averages_toward_zero():
    images = np.random.default_rng(0).integers(-128, 128, (1, 4, 5, 2)).astype(np.int8)
    out = np.empty((1, 2, 3, 2), np.int8)
    average_pool_2d_truncated(images, Window(3, 2, 2, 2, 1, 1, 1, 0), 5, -128, 127, out)
    for (_, y, x, c), code in np.ndenumerate(out):
        taps = images[0, max(2 * y - 1, 0) : 2 * y + 2, 2 * x : 2 * x + 2, c].astype(int) - 5
        assert code == math.trunc(Fraction(int(taps.sum()), taps.size)) + 5
