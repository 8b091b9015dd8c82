"""Mean over the middle axis of (outer, reduced, inner), in three engines' ways.

Source: TFLite reference/integer_ops/mean.h and reference/reduce.h; optimized/reduce.h; google/XNNPACK
src/operators/reduce-nd.c.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import requantize_ruy_double_half_up, requantize_tflite_double_rounding


@kernel
def sum_middle(values, out):
    """Sum of raw codes. values : integer (outer, reduced, inner); out : int64 (outer, inner)."""
    out[:] = 0
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            for k in range(values.shape[2]):
                out[i, k] += np.int64(values[i, j, k])


@kernel
def mean_double_rounding(sums, offset, multiplier, shift, zero_point, minimum, maximum, out):
    """Reference: zero points removed, then one TFLite requantization. offset : reduced elements times input zero point.

    sums : int64 (outer, inner); out : (outer, inner) integer codes in [minimum, maximum]
    """
    for i in range(sums.shape[0]):
        for k in range(sums.shape[1]):
            centered = wrap_int32(sums[i, k] - np.int64(offset))
            value = requantize_tflite_double_rounding(centered, multiplier, shift) + np.int64(zero_point)
            out[i, k] = clamp(value, np.int64(minimum), np.int64(maximum))


@kernel
def mean_raw_vectors(sums, multiplier, shift, bias, minimum, maximum, out):
    """LiteRT optimized over height and width: raw codes scaled, zero points in a rounded bias. Same shapes.

    Whole vectors of 16 channels round half up twice, the channels left over as TFLite's reference.
    """
    whole = sums.shape[1] // 16 * 16
    for i in range(sums.shape[0]):
        for k in range(sums.shape[1]):
            total = wrap_int32(sums[i, k])
            if k < whole:
                value = requantize_ruy_double_half_up(total, multiplier, shift)
            else:
                value = requantize_tflite_double_rounding(total, multiplier, shift)
            out[i, k] = clamp(value + np.int64(bias), np.int64(minimum), np.int64(maximum))


@kernel
def mean_float32(sums, scale, offset, minimum, maximum, out):
    """XNNPACK: one float32 product and sum, ties to even. Same shapes.

    offset : float32, the output's zero point less the scaled zero points of the elements
    """
    for i in range(sums.shape[0]):
        for k in range(sums.shape[1]):
            value = np.rint(np.float32(sums[i, k]) * np.float32(scale) + np.float32(offset))
            out[i, k] = clamp(np.int64(value), np.int64(minimum), np.int64(maximum))
