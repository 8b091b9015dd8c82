"""gemmlowp's fixed-point logistic and tanh on int16. "Qa.b" has `a` integer bits and b = 15 - a fraction bits.

Source: google/gemmlowp fixedpoint/fixedpoint.h, as its 32-bit namesakes in `fixed_point`.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp, wrap_int16
from hwsim.kernels.requantize import rounding_shift_right

ONE = 32767


@kernel
def high_multiply_int16(a, b):
    """gemmlowp SaturatingRoundingDoublingHighMul on int16 values: ties go up."""
    return min((np.int64(a) * np.int64(b) + np.int64(16384)) >> np.int64(15), np.int64(32767))


@kernel
def rescale_int16(value, bits):
    """Move the point by `bits` >= 0 (source integer bits minus destination integer bits), saturating."""
    return clamp(np.int64(value) << np.int64(bits), np.int64(-32768), np.int64(32767))


@kernel
def exp_on_quarter_int16(value):
    """exp of a Q0.15 value in [-1/4, 0), as Q0.15; the last sum saturates."""
    x = wrap_int16(value + np.int64(4096))
    x2 = high_multiply_int16(x, x)
    x3 = high_multiply_int16(x2, x)
    x4 = high_multiply_int16(x2, x2)
    third = high_multiply_int16(wrap_int16(rounding_shift_right(x4, 2) + x3), np.int64(10923))
    tail = rounding_shift_right(wrap_int16(third + x2), 1)
    product = high_multiply_int16(np.int64(28918), wrap_int16(x + tail))
    return clamp(np.int64(28918) + product, np.int64(-32768), np.int64(32767))


@kernel
def exp_of_negative_int16(value, integer_bits):
    """exp of a value < 0 with `integer_bits` integer bits, at most 7, as Q0.15; below -32 it is 0."""
    if integer_bits > 5 and value < -(np.int64(1) << np.int64(20 - integer_bits)):
        return np.int64(0)
    fraction_bits = 15 - integer_bits
    quarter = np.int64(1) << np.int64(fraction_bits - 2)
    within = (np.int64(value) & (quarter - np.int64(1))) - quarter
    result = exp_on_quarter_int16(rescale_int16(within, integer_bits))
    remainder = within - np.int64(value)
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for i in range(7):
        exponent = i - 2
        if integer_bits > exponent and remainder & (np.int64(1) << np.int64(fraction_bits + exponent)):
            result = high_multiply_int16(result, rounding_shift_right(np.int64(factors[i]), 16))
    return result


@kernel
def newton_reciprocal_int16(value):
    """2 / (1 + value) of a Q0.15 value in [0, 1), as Q2.13, by three Newton-Raphson steps."""
    half = (np.int64(value) + np.int64(32768)) >> np.int64(1)
    x = wrap_int16(np.int64(23130) + high_multiply_int16(half, np.int64(-15420)))
    for _ in range(3):
        error = wrap_int16(np.int64(8192) - high_multiply_int16(half, x))
        x = wrap_int16(x + rescale_int16(high_multiply_int16(x, error), 2))
    return x


@kernel
def logistic_q15(value, integer_bits):
    """Logistic function of a value with `integer_bits` integer bits, as Q0.15."""
    if value == 0:
        return np.int64(16384)
    y = rescale_int16(newton_reciprocal_int16(exp_of_negative_int16(-abs(np.int64(value)), integer_bits)), 1)
    return y if value > 0 else np.int64(ONE) - y


@kernel
def tanh_q15(value, integer_bits):
    """tanh of a value with `integer_bits` integer bits, as Q0.15."""
    if value == 0:
        return np.int64(0)
    reciprocal = newton_reciprocal_int16(exp_of_negative_int16(-abs(np.int64(value)), integer_bits + 1))
    y = rescale_int16(wrap_int16(reciprocal - np.int64(8192)), 2)
    return y if value > 0 else -y


@kernel
def logistic_fixed_point_int16(values, out):
    """Codes of scale 2^-15 of int16 codes of scale 2^-12. values : int64 (size,); out : int16 (size,)."""
    for i in range(out.shape[0]):
        out[i] = logistic_q15(values[i], 3)


@kernel
def tanh_fixed_point_int16(values, left_shift, out):
    """Codes of scale 2^-15 of int16 codes of scale 2^(left_shift - 12), 0 or 1. Same shapes."""
    for i in range(out.shape[0]):
        shifted = clamp(np.int64(values[i]) << np.int64(left_shift), np.int64(-32768), np.int64(32767))
        out[i] = tanh_q15(shifted, 3)
