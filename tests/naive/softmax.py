"""SOFTMAX: gemmlowp's fixed point, and the float table of the optimized kernels."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from .linear import Array
from .rounding import (
    clamp,
    divide_by_pot,
    doubling_high_mul,
    half_away,
    quantize_multiplier,
    type_range,
    wrap,
)

ONE = (1 << 31) - 1
EXP_FACTORS = (  # exp(-2**n) in Q0.31, for n = -2 .. 4
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)


def softmax(x: Array, scale: float, rule: str, dtype: Any, beta: float = 1.0) -> Array:
    """SOFTMAX over the last axis, 8-bit codes in.

    rule : 'fixed_point' (TFLite reference/softmax.h, TFLM) or 'float_table' (TFLite
    optimized_ops.h, SoftmaxInt8LUT's float table). Output scale and zero point are the fixed ones:
    int8 1/256, -128; uint8 1/256, 0; int16 1/65536, -32768.
    """
    function = {"fixed_point": _fixed_point, "float_table": _float_table}[rule]
    lo, hi = type_range(dtype)
    out = np.zeros(x.shape, dtype)
    for index in np.ndindex(*x.shape[:-1]):
        row = [int(code) for code in x[index]]
        out[index] = [clamp(lo + y, lo, hi) for y in function(row, scale, beta, hi - lo + 1)]
    return out


def _fixed_point(row: list[int], scale: float, beta: float, levels: int) -> list[int]:
    real = min(beta * scale * (1 << 26), float((1 << 31) - 1))
    multiplier, left_shift = quantize_multiplier(real)
    smallest = -math.floor(Fraction(31 << 26) / Fraction(2) ** left_shift)
    exps: list[int | None] = []
    for code in row:
        difference = code - max(row)
        if difference < smallest:
            exps.append(None)
        else:
            exps.append(exp_negative(doubling_high_mul(wrap(difference << left_shift), multiplier), 5))
    total = wrap(sum(divide_by_pot(e, 12) for e in exps if e is not None))
    headroom = 32 - (total % (1 << 32)).bit_length()
    reciprocal = one_over_one_plus(wrap((total << headroom) - (1 << 31)))
    bits = levels.bit_length() - 1
    shift = 12 - headroom + 31 - bits
    return [0 if e is None else divide_by_pot(doubling_high_mul(reciprocal, e), shift) for e in exps]


def _float_table(row: list[int], scale: float, beta: float, levels: int) -> list[int]:
    step = -np.float32(scale) * np.float32(beta)
    exps = [_expf(step * np.float32(max(row) - code)) for code in row]
    total = np.float32(0)
    for e in exps:
        total = total + e
    inverse = np.float32(1) / (total * np.float32(1 / levels))
    return [half_away(Fraction(float(e * inverse))) for e in exps]


def _expf(x: np.float32) -> np.float32:
    """float32 exponential, correctly rounded but for double rounding: what libm's expf gives."""
    return np.float32(math.exp(float(x)))


def exp_negative(a: int, integer_bits: int) -> int:
    """exp(a) in Q0.31 for a <= 0 in fixed point. gemmlowp exp_on_negative_values."""
    if a == 0:
        return ONE
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    remainder = a % quarter - quarter
    result = _exp_quarter(_rescale(remainder, integer_bits, 0))
    rest = remainder - a
    for exponent, factor in EXP_FACTORS:
        if integer_bits > exponent and rest & (1 << (fractional_bits + exponent)):
            result = doubling_high_mul(result, factor)
    if integer_bits > 5 and a < -(1 << (36 - integer_bits)):
        return 0
    return result


def one_over_one_plus(a: int) -> int:
    """1 / (1 + a) in Q0.31 for a in [0, 1) in Q0.31. gemmlowp one_over_one_plus_x_for_x_in_0_1."""
    half = half_away(Fraction(a + ONE, 2))  # gemmlowp RoundingHalfSum
    x = 1515870810 + doubling_high_mul(half, -1010580540)  # Q2.29: 48/17 - 32/17 half
    for _ in range(3):
        error = (1 << 29) - doubling_high_mul(half, x)
        x = wrap(x + _rescale(doubling_high_mul(x, error), 4, 2))
    return _rescale(x, 1, 0)


def _exp_quarter(a: int) -> int:
    """exp(a) for a in [-1/4, 0), Taylor about -1/8. gemmlowp exp_on_interval_..._0_excl."""
    x = a + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4 = doubling_high_mul(x2, x2)
    sixth = doubling_high_mul(divide_by_pot(x4, 2) + x3, 715827883)  # times 1/3
    tail = divide_by_pot(sixth + x2, 1)
    return wrap(1895147668 + doubling_high_mul(1895147668, x + tail))  # exp(-1/8)


def _rescale(x: int, source_bits: int, target_bits: int) -> int:
    """Change the number of integer bits, saturating. gemmlowp Rescale."""
    if source_bits <= target_bits:
        return divide_by_pot(x, target_bits - source_bits)
    return clamp(x << (source_bits - target_bits), -(1 << 31), (1 << 31) - 1)
