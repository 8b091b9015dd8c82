"""Softmax of int16 codes by two tables of 513 samples.

Source: TFLite reference/softmax.h, SoftmaxInt16; tflite/kernels/internal/common.h, LUTLookup.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fixed_point import leading_zeros
from hwsim.kernels.integers import clamp, wrap_int16
from hwsim.kernels.requantize import requantize_tflite_double_rounding


@kernel
def interpolate_int16(code, table):
    """A table's value at an int16 code: every 128th is stored, those between are interpolated. table : int16 (513,)."""
    index = np.int64(256) + (np.int64(code) >> np.int64(7))
    slope = wrap_int16(np.int64(table[index + 1]) - np.int64(table[index]))
    return wrap_int16(
        np.int64(table[index]) + ((slope * (np.int64(code) & np.int64(127)) + np.int64(64)) >> np.int64(7))
    )


@kernel
def softmax_int16(rows, multiplier, shift, exponentials, reciprocals, out):
    """Softmax of each row, codes of scale 2^-15.

    rows, out : int16 (batch, depth)
    multiplier, shift : of input_scale * beta / (10 / 65535), which takes [-10, 0] to 65536 codes
    exponentials : int16 (513,), of exp on [-10, 0]; reciprocals : int16 (513,), of 1 / (1 + x) on [0, 1]
    """
    for n in range(rows.shape[0]):
        largest = np.int64(rows[n, 0])
        for k in range(1, rows.shape[1]):
            largest = max(largest, np.int64(rows[n, k]))
        total = np.int64(0)
        for k in range(rows.shape[1]):
            scaled = requantize_tflite_double_rounding(np.int64(rows[n, k]) - largest, multiplier, shift)
            centered = clamp(scaled + np.int64(32767), np.int64(-32768), np.int64(32767))
            out[n, k] = interpolate_int16(centered, exponentials)
            total += np.int64(out[n, k])
        headroom = leading_zeros(total)
        shifted = ((total << (headroom - 1)) + np.int64(8192)) >> np.int64(14)
        centered = clamp(shifted - np.int64(98304), np.int64(-32768), np.int64(32767))
        reciprocal = interpolate_int16(centered, reciprocals)
        right = np.int64(31) - headroom
        for k in range(rows.shape[1]):
            product = np.int64(out[n, k]) * reciprocal
            code = (product + (np.int64(1) << (right - 1))) >> right
            out[n, k] = clamp(code, np.int64(0), np.int64(32767))
