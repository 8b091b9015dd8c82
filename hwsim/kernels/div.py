"""Elementwise quotient of two quantized tensors.

Source: TFLite reference/div.h, DivElementwise; tflite/kernels/internal/common.h, GetReciprocal.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fixed_point import leading_zeros, reciprocal_of_one_plus
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import doubling_high_multiply, requantize_tflite_double_rounding


@kernel
def div(first, second, zero_points, multiplier, shift, zero_point, minimum, maximum, out):
    """first, second, out : int8 or uint8 (samples, size); zero_points : of both inputs.

    multiplier, shift : of the first input's scale over the product of the second's and the output's
    Where the divisor is 0 the result is that of LiteRT's arithmetic, in which 1/0 is 2.
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
            value = requantize_tflite_double_rounding(quotient, multiplier, max(down, np.int64(-31)))
            out[n, i] = clamp(value + np.int64(zero_point), np.int64(minimum), np.int64(maximum))
