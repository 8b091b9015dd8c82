"""gemmlowp's fixed-point functions on int32 held in int64. "Qa.b" has `a` integer bits and b = 31 - a fraction bits.

Source: google/gemmlowp fixedpoint/fixedpoint.h.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import wrap_int32
from hwsim.kernels.requantize import doubling_high_multiply, rounding_shift_right

ONE = 2147483647


@kernel
def rescale(value, bits):
    """Move the point by `bits` (source integer bits minus destination integer bits), saturating to the left."""
    if bits < 0:
        return rounding_shift_right(value, -bits)
    largest = (np.int64(1) << np.int64(31 - bits)) - np.int64(1)
    if value > largest:
        return np.int64(2147483647)
    if value < -largest:
        return np.int64(-2147483648)
    return np.int64(value) << np.int64(bits)


@kernel
def exp_on_quarter(value):
    """exp of a Q0.31 value in [-1/4, 0), as Q0.31."""
    x = wrap_int32(value + np.int64(268435456))
    x2 = doubling_high_multiply(x, x)
    x3 = doubling_high_multiply(x2, x)
    x4 = doubling_high_multiply(x2, x2)
    third = doubling_high_multiply(wrap_int32(rounding_shift_right(x4, 2) + x3), np.int64(715827883))
    tail = rounding_shift_right(wrap_int32(third + x2), 1)
    return wrap_int32(np.int64(1895147668) + doubling_high_multiply(np.int64(1895147668), wrap_int32(x + tail)))


@kernel
def exp_of_negative(value, integer_bits):
    """exp of a value <= 0 with `integer_bits` integer bits, as Q0.31."""
    if value == 0:
        return np.int64(2147483647)
    fraction_bits = 31 - integer_bits
    quarter = np.int64(1) << np.int64(fraction_bits - 2)
    within = (np.int64(value) & (quarter - np.int64(1))) - quarter
    result = exp_on_quarter(rescale(within, integer_bits))
    remainder = within - np.int64(value)
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for i in range(7):
        exponent = i - 2
        if integer_bits > exponent and remainder & (np.int64(1) << np.int64(fraction_bits + exponent)):
            result = doubling_high_multiply(result, np.int64(factors[i]))
    if integer_bits > 5 and value < -(np.int64(1) << np.int64(36 - integer_bits)):
        return np.int64(0)
    return result


@kernel
def newton_reciprocal(value):
    """2 / (1 + value) of a Q0.31 value in [0, 1), as Q2.29, by three Newton-Raphson steps."""
    total = np.int64(value) + np.int64(2147483647)
    half = (total + np.int64(1)) >> np.int64(1) if total >= 0 else -((np.int64(1) - total) >> np.int64(1))
    x = wrap_int32(np.int64(1515870810) + doubling_high_multiply(half, np.int64(-1010580540)))
    for _ in range(3):
        error = wrap_int32(np.int64(536870912) - doubling_high_multiply(half, x))
        x = wrap_int32(x + rescale(doubling_high_multiply(x, error), 2))
    return x


@kernel
def reciprocal_of_one_plus(value):
    """1 / (1 + value) of a Q0.31 value in [0, 1), as Q0.31."""
    return rescale(newton_reciprocal(value), 1)


@kernel
def leading_zeros(value):
    """Leading zero bits of a value in [0, 2^32) seen as uint32."""
    count = 32
    while value > 0:
        value >>= 1
        count -= 1
    return np.int64(count)
