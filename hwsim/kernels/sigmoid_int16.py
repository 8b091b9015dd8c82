"""Logistic and tanh of int16 codes, by a table of the logistic function.

Source: TFLite reference/integer_ops/logistic.h and tanh.h; tflite/kernels/internal/common.h, sigmoid_table_uint16.
"""

import numpy as np

from hwsim.kernels import kernel


@kernel
def scaled_code(value, multiplier, shift):
    """value * multiplier / 2^shift, ties up: the argument in steps of 1 / (3 * 4096)."""
    half = np.int64(0)
    if shift > 0:
        half = np.int64(1) << np.int64(shift - 1)
    return (np.int64(value) * np.int64(multiplier) + half) >> np.int64(shift)


@kernel
def logistic_int16(values, multiplier, shift, table, out):
    """Codes of scale 2^-15 and zero point 0.

    values : int64 (size,), int16 codes; out : int16 (size,)
    multiplier, shift : see `scaled_code`; table : uint16 (256,), the logistic function of i / 24, times 2^16
    """
    for i in range(out.shape[0]):
        x = scaled_code(values[i], multiplier, shift)
        size = abs(x)
        index = size >> np.int64(9)
        result = np.int64(0x7FFF << 10)
        if index < 255:
            low, high = np.int64(table[index]), np.int64(table[index + 1])
            result = (low << np.int64(9)) + (size & np.int64(511)) * (high - low)
        if x >= 0:
            out[i] = (result + np.int64(512)) >> np.int64(10)
        else:
            out[i] = (np.int64(1 << 25) - result + np.int64(511)) >> np.int64(10)


@kernel
def tanh_int16(values, multiplier, shift, table, out):
    """tanh(x) = 2 logistic(2x) - 1. Arguments as for `logistic_int16`."""
    for i in range(out.shape[0]):
        x = scaled_code(values[i], multiplier, shift)
        size = abs(x)
        index = size >> np.int64(8)
        result = np.int64(0xFFFF << 8)
        if index < 255:
            low, high = np.int64(table[index]), np.int64(table[index + 1])
            result = (low << np.int64(8)) + (size & np.int64(255)) * (high - low)
        if x >= 0:
            out[i] = (result - np.int64(1 << 23) + np.int64(128)) >> np.int64(8)
        else:
            out[i] = (np.int64(1 << 23) - result + np.int64(127)) >> np.int64(8)
