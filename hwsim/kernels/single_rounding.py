"""Elementwise operators of builds that round once.

Source: TFLite tflite/kernels/internal/common.h under TFLITE_SINGLE_ROUNDING; ARM-software/CMSIS-NN
Include/arm_nnsupportfunctions.h under CMSIS_NN_USE_SINGLE_ROUNDING, Source/BasicMathFunctions.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.requantize import requantize_single_rounding


@kernel
def add_single_rounding(first, second, p, start, stop, out):
    """As `add.add_tflite_reference`."""
    for n in range(out.shape[0]):
        for i in range(start, stop):
            raised = (np.int64(first[n, i]) - p.zero_points[0]) << np.int64(p.left_shift)
            total = requantize_single_rounding(raised, p.multipliers[0], p.shifts[0])
            raised = (np.int64(second[n, i]) - p.zero_points[1]) << np.int64(p.left_shift)
            total += requantize_single_rounding(raised, p.multipliers[1], p.shifts[1])
            value = requantize_single_rounding(total, p.multiplier, p.shift) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))


@kernel
def mul_single_rounding(first, second, p, out):
    """As `mul.mul_tflite`."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            product = (np.int64(first[n, i]) - p.zero_points[0]) * (np.int64(second[n, i]) - p.zero_points[1])
            value = requantize_single_rounding(product, p.multiplier, p.shift) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
