"""Elementwise quotient of two quantized tensors.

Source: TFLite reference/div.h, DivElementwise; tflite/kernels/internal/common.h, GetReciprocal.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fixed_point import leading_zeros, reciprocal_of_one_plus
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import doubling_high_multiply, rounding_shift_right


@kernel
def shifted_right(value, shift):
    """gemmlowp RoundingDivideByPOT as x86-64 runs it: beyond 31 a shift counts modulo 32, and 1 is added from 0 on.

    So 0 / x is 1 code above 0 wherever the shift is that large.
    """
    if shift <= 31:
        return rounding_shift_right(value, shift)
    return (value >> (shift & np.int64(31))) + np.int64(value >= 0)


@kernel
def div(first, second, zero_points, multiplier, shift, zero_point, minimum, maximum, out):
    """first, second, out : integer (samples, size); zero_points : of both inputs.

    multiplier, shift : of the first input's scale over the product of the second's and the output's
    No divisor may be 0.
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            dividend = np.int64(first[n, i]) - np.int64(zero_points[0])
            divisor = np.int64(second[n, i]) - np.int64(zero_points[1])
            if divisor < 0:
                dividend, divisor = -dividend, -divisor
            headroom = leading_zeros(divisor)
            inverse = reciprocal_of_one_plus(wrap_int32((divisor << headroom) - np.int64(2147483648)))
            sign_bits = leading_zeros(dividend if dividend >= 0 else -dividend - 1) - 1
            quotient = doubling_high_multiply(dividend << sign_bits, inverse)
            down = shift - (31 - headroom) - sign_bits
            value = shifted_right(doubling_high_multiply(quotient, multiplier), -down)
            out[n, i] = clamp(value + np.int64(zero_point), np.int64(minimum), np.int64(maximum))
