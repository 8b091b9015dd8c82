"""1 / sqrt(x) of an integer as a multiplier and a shift, and what is made of it.

Source: TFLite tflite/kernels/internal/quantization_util.cc or common.h, GetInvSqrtQuantizedMultiplierExp;
reference/integer_ops/l2normalization.h; tflite/kernels/elementwise.cc, RsqrtEvalQuantizedInt8.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fixed_point import leading_zeros, rescale
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import doubling_high_multiply, requantize_tflite_double_rounding, rounding_shift_right


@kernel
def inverse_sqrt(value):
    """(multiplier, shift) of 1 / sqrt(value), by five Newton-Raphson steps on 3 integer bits. value : >= 0."""
    if value <= 1:
        return np.int64(2147483647), np.int64(0)
    shift = np.int64(11)
    value = np.int64(value)
    while value >= 1 << 29:
        value //= 4
        shift += 1
    pairs = (leading_zeros(value) - 1) // 2 - 1
    shift -= pairs
    value <<= 2 * pairs
    half = rounding_shift_right(value >> 1, 1)
    x = np.int64(1 << 28)
    for _ in range(5):
        cube = rescale(doubling_high_multiply(doubling_high_multiply(x, x), x), 6)
        grown = doubling_high_multiply(np.int64(402653184), x)
        x = rescale(wrap_int32(grown - doubling_high_multiply(half, cube)), 3)
    x = doubling_high_multiply(x, np.int64(1518500250))
    if shift < 0:
        x <<= -shift
        shift = np.int64(0)
    return x, -shift


@kernel
def l2_normalization(rows, zero_point, out_zero_point, early, minimum, maximum, out):
    """Each row over its length, in steps of 1/128. rows, out : integer (rows, depth).

    early : how many of the 7 bits to 1/128 codes are raised by before they are multiplied, 7 or 0
    """
    for n in range(rows.shape[0]):
        total = np.int64(0)
        for k in range(rows.shape[1]):
            centered = np.int64(rows[n, k]) - np.int64(zero_point)
            total = wrap_int32(total + centered * centered)
        multiplier, shift = inverse_sqrt(total)
        for k in range(rows.shape[1]):
            centered = (np.int64(rows[n, k]) - np.int64(zero_point)) << np.int64(early)
            value = requantize_tflite_double_rounding(centered, multiplier, shift + 7 - early)
            value += np.int64(out_zero_point)
            out[n, k] = clamp(value, np.int64(minimum), np.int64(maximum))


@kernel
def rsqrt(values, multiplier, shift, zero_point, minimum, maximum, out):
    """1 / sqrt, by way of 20 more fraction bits; 0 gives `maximum`, and so do values below, which have no result.

    values : int64 (size,), codes less their zero point; multiplier, shift : of 1 / (sqrt(input_scale) * output_scale)
    """
    for i in range(out.shape[0]):
        if values[i] <= 0:
            out[i] = maximum
            continue
        inverse, down = inverse_sqrt(values[i])
        fine = requantize_tflite_double_rounding(np.int64(1), inverse, down + 20)
        value = requantize_tflite_double_rounding(fine, multiplier, shift - 20) + np.int64(zero_point)
        out[i] = clamp(value, np.int64(minimum), np.int64(maximum))
