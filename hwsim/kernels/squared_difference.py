"""Elementwise square of a difference.

Source: TFLite tflite/kernels/squared_difference.cc; TFLM micro/kernels/squared_difference.cc.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import requantize_tflite_double_rounding


@kernel
def squared_difference(first, second, p, out):
    """Both inputs requantized to a common scale, subtracted, squared, requantized.

    first, second, out : integer (samples, size); p : kernels.add.AddParams, its multiplier that of the square
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            raised = (np.int64(first[n, i]) - p.zero_points[0]) << np.int64(p.left_shift)
            difference = requantize_tflite_double_rounding(raised, p.multipliers[0], p.shifts[0])
            raised = (np.int64(second[n, i]) - p.zero_points[1]) << np.int64(p.left_shift)
            difference -= requantize_tflite_double_rounding(raised, p.multipliers[1], p.shifts[1])
            square = wrap_int32(difference * difference)
            value = requantize_tflite_double_rounding(square, p.multiplier, p.shift) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
