"""16-bit fixed point, tables and multipliers against plain-Python integers."""

import numpy as np
import pytest

from hwsim.kernels.fixed_point_int16 import logistic_fixed_point_int16, tanh_fixed_point_int16, tanh_q15
from hwsim.kernels.inverse_sqrt import inverse_sqrt
from hwsim.kernels.requantize import requantize_reduced_int64
from hwsim.kernels.sigmoid_int16 import logistic_int16, tanh_int16
from hwsim.kernels.softmax_int16 import softmax_int16
from hwsim.ops._sigmoid import sigmoid_table
from tests import oracle_int16
from tests.naive import reduced_int64
from tests.naive.rounding import quantize_multiplier
from tests.oracle_more import _inverse_root

CODES = np.unique(np.concatenate([np.arange(-32768, 32768, 997), [-32768, -1, 0, 1, 5, 32767]])).astype(np.int64)


def filled(kernel, *arguments):
    out = np.empty(CODES.size, np.int16)
    kernel(CODES, *arguments, out)
    return out.tolist()


def test_fixed_point_curves():
    assert filled(logistic_fixed_point_int16) == [oracle_int16.logistic(int(x), 2.0**-12, "xnnpack") for x in CODES]
    for shift in (0, 1):
        expected = [oracle_int16.tanh(int(x), 2.0 ** (shift - 12), "xnnpack") for x in CODES]
        assert filled(tanh_fixed_point_int16, shift) == expected


@pytest.mark.parametrize("integer_bits", range(7))
def test_tanh_of_every_range_that_a_cell_has(integer_bits):
    """Below -32, which takes 5 integer bits and more, gemmlowp's exponential is 0."""
    expected = [oracle_int16._tanh_q15(int(x), integer_bits) for x in CODES]
    assert [int(tanh_q15(x, integer_bits)) for x in CODES] == expected


@pytest.mark.parametrize("scale", [0.0003, 0.002])
def test_tabled_curves_of_any_scale(scale):
    shift = 0
    real = scale * 12288
    while real <= 16383.5:
        real, shift = real * 2, shift + 1
    table = sigmoid_table()
    arguments = int(real), shift, table
    assert filled(logistic_int16, *arguments) == [oracle_int16.logistic(int(x), scale, "tflite-micro") for x in CODES]
    assert filled(tanh_int16, *arguments) == [oracle_int16.tanh(int(x), scale, "tflite-micro") for x in CODES]


@pytest.mark.parametrize("multiplier", [1 << 30, 0x7FFEFFFF, 0x7FFF0000, (1 << 31) - 1])
@pytest.mark.parametrize("shift", [-20, -1, 0, 15, 16])
def test_wide_sums_through_short_multipliers(multiplier, shift):
    for total in (-(1 << 40) + 7, -12345, 0, 1, 99999, 1 << 38):
        assert requantize_reduced_int64(np.int64(total), multiplier, shift) == reduced_int64(total, multiplier, shift)


def test_softmax_of_int16():
    rows = np.random.default_rng(0).integers(-32768, 32768, (3, 9)).astype(np.int16)
    one = np.float64(1)
    scale = 2.0**-12
    multiplier, shift = quantize_multiplier(scale / (10.0 / 65535.0))
    tables = [
        np.array(oracle_int16._table(function, at, zero, np.float64), np.int16)
        for function, at, zero in (
            (lambda v: oracle_int16._exp(v, np.float64), np.float64(10) / np.float64(65535), 32767),
            (lambda v: one / (one + v), one / np.float64(65535), -32768),
        )
    ]
    out = np.empty_like(rows)
    softmax_int16(rows, multiplier, shift, *tables, out)
    expected = [oracle_int16.softmax([int(x) for x in row], scale, 1.0, "litert-reference") for row in rows]
    assert out.tolist() == expected


@pytest.mark.parametrize("value", [0, 1, 2, 3, 4, 100, 2**20 + 1, 2**29 - 1, 2**29, 2**30 + 5, 2**31 - 1])
def test_inverse_roots(value):
    assert tuple(int(part) for part in inverse_sqrt(np.int64(value))) == _inverse_root(value)
    multiplier, shift = _inverse_root(value)
    assert multiplier * 2.0 ** (shift - 31) == pytest.approx(max(value, 1) ** -0.5, rel=3e-6)
