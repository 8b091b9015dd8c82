"""Elementwise difference of two quantized tensors, each with its own scale.

Source: TFLite reference/sub.h.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import requantize_tflite_double_rounding


@kernel
def sub_tflite(first, second, p, out):
    """Both inputs requantized to a common scale, subtracted, requantized.

    first, second, out : int8 or uint8 (samples, size)
    p : kernels.add.AddParams
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            raised = (np.int64(first[n, i]) - p.zero_points[0]) << np.int64(p.left_shift)
            total = requantize_tflite_double_rounding(raised, p.multipliers[0], p.shifts[0])
            raised = (np.int64(second[n, i]) - p.zero_points[1]) << np.int64(p.left_shift)
            total -= requantize_tflite_double_rounding(raised, p.multipliers[1], p.shifts[1])
            value = requantize_tflite_double_rounding(wrap_int32(total), p.multiplier, p.shift) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
