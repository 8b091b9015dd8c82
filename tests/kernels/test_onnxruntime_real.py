"""ONNX Runtime's kernels that go through real numbers, against float32 step by step."""

import math
from fractions import Fraction

import numpy as np
import pytest

from hwsim.kernels.conv2d import Window
from hwsim.kernels.onnxruntime import (
    average_pool_onnxruntime,
    logistic_onnxruntime,
    mean_onnxruntime,
    softmax_onnxruntime,
)
from hwsim.ops._onnxruntime import logistic
from tests.kernels.test_onnxruntime import fused
from tests.naive.rounding import clamp

F = np.float32


@pytest.mark.parametrize("zero_point", [-128, 0, 17])
def test_averages_real_values_and_adds_the_zero_point_before_it_rounds(zero_point):
    images = np.random.default_rng(0).integers(-128, 128, (1, 4, 5, 2)).astype(np.int8)
    real = (np.arange(-128, 128) - 5).astype(F) * F(0.0371)
    out = np.empty((1, 2, 3, 2), np.int8)
    average_pool_onnxruntime(images, Window(3, 2, 2, 2, 1, 1, 1, 0), real, 0.02, zero_point, -128, 127, out)
    for (_, y, x, c), code in np.ndenumerate(out):
        taps = images[0, max(2 * y - 1, 0) : 2 * y + 2, 2 * x : 2 * x + 2, c].astype(int)
        total = F(0)
        for tap in taps.ravel().tolist():
            total = total + real[tap + 128]
        value = total / F(taps.size) / F(0.02) + F(zero_point)
        assert code == clamp(round(Fraction(float(value))), -128, 127)


def test_the_mean_of_an_image_is_one_product_limited_before_it_is_rounded():
    sums = np.arange(-700, 700, 7).reshape(2, -1)
    out = np.empty(sums.shape, np.uint8)
    mean_onnxruntime(sums, 21, 0.5, 3, 0, 255, out)
    for total, code in zip(sums.ravel().tolist(), out.ravel().tolist(), strict=True):
        assert code == round(clamp(Fraction(total - 21, 2), -3, 252)) + 3


def test_softmax_sums_its_table_in_order_and_saturates():
    g = np.random.default_rng(1)
    rows = g.integers(-128, 128, (40, 9)).astype(np.int8)
    rows[0] = [127] + [-128] * 8
    table = np.exp(20 - 0.1 * np.arange(256)).astype(F)
    out = np.empty(rows.shape, np.int8)
    softmax_onnxruntime(rows, table, 256.0, -100, 127, out)
    for row, codes in zip(rows.tolist(), out.tolist(), strict=True):
        parts = [table[max(row) - value] for value in row]
        total = F(0)
        for part in parts:
            total = total + part
        expected = [min(round(Fraction(float(part * F(256) / total))) - 100, 127) for part in parts]
        assert codes == expected
    assert out[0, 0] == 127


def test_logistic_is_a_quotient_of_polynomials_by_fused_steps():
    values = np.concatenate([np.linspace(-20, 20, 401), [0.0, -18.0, 18.0]]).astype(F)
    rising, falling = np.array([1e-4, 8e-3, 0.25], F), np.array([2e-3, 0.1, 1.0], F)
    out = np.empty(values.size, F)
    logistic_onnxruntime(values, rising, falling, out)
    for value, found in zip(values, out, strict=True):
        x = min(max(value, F(-18)), F(18))
        square, over, under = x * x, rising[0], falling[0]
        for coefficient in rising[1:]:
            over = F(fused(over, square, coefficient))
        for coefficient in falling[1:]:
            under = F(fused(under, square, coefficient))
        assert found == min(max(over * x / under + F(0.5), F(0)), F(1))
    assert all(abs(y - 1 / (1 + math.exp(-x))) < 1e-6 for x, y in zip(values.tolist(), logistic(values), strict=True))
