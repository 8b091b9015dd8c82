"""Codes brought to a scale that two tensors share, for comparing them.

Source: TFLite reference/comparisons.h, ComparisonWithScaling.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.requantize import requantize_tflite_double_rounding


@kernel
def scaled_codes(codes, zero_point, left_shift, multiplier, shift, out):
    """codes : integer (samples, size); out : int64 of the same shape."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            raised = (np.int64(codes[n, i]) - np.int64(zero_point)) << np.int64(left_shift)
            out[n, i] = requantize_tflite_double_rounding(raised, multiplier, shift)
