"""Logistic and tanh by gemmlowp's fixed-point exponential.

Source: google/gemmlowp fixedpoint/fixedpoint.h; TFLite reference/integer_ops/{logistic,tanh}.h.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fixed_point import exp_of_negative, newton_reciprocal, reciprocal_of_one_plus, rescale
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import requantize_tflite_double_rounding, rounding_shift_right

INTEGER_BITS = 4


@kernel
def logistic_fixed_point(values, multiplier, shift, radius, minimum, out):
    """Codes of scale 1/256 and zero point `minimum`.

    values : int64 (size,), codes less their zero point; out : int8 (size,)
    multiplier, shift : of input_scale * 2^27; radius : from here on, either way, the function is flat
    """
    for i in range(out.shape[0]):
        value = np.int64(values[i])
        if value <= -radius:
            code = np.int64(0)
        elif value >= radius:
            code = np.int64(255)
        else:
            x = requantize_tflite_double_rounding(value, multiplier, shift)
            y = reciprocal_of_one_plus(exp_of_negative(-abs(x), INTEGER_BITS))
            if x == 0:
                y = np.int64(1073741824)
            elif x < 0:
                y = np.int64(2147483647) - y
            code = rounding_shift_right(y, 23)
        out[i] = clamp(code, np.int64(0), np.int64(255)) + np.int64(minimum)


@kernel
def tanh_fixed_point(values, multiplier, shift, radius, minimum, maximum, out):
    """Codes of scale 1/128 and zero point 0. Parameters as for `logistic_fixed_point`."""
    for i in range(out.shape[0]):
        value = np.int64(values[i])
        if value <= -radius:
            code = np.int64(minimum)
        elif value >= radius:
            code = np.int64(maximum)
        else:
            x = requantize_tflite_double_rounding(value, multiplier, shift)
            reciprocal = newton_reciprocal(exp_of_negative(-abs(x), INTEGER_BITS + 1))
            y = rescale(wrap_int32(reciprocal - np.int64(536870912)), 2)
            code = rounding_shift_right(np.int64(0) if x == 0 else y if x > 0 else -y, 24)
        out[i] = clamp(code, np.int64(minimum), np.int64(maximum))
