"""One multiplier for values of zero and above, another below. LEAKY_RELU, and PRELU where the second varies.

Source: TFLite reference/leaky_relu.h, reference/prelu.h; google/XNNPACK src/qs8-vlrelu.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.requantize import requantize_tflite_double_rounding


@kernel
def leaky_relu_double_rounding(values, slopes, identity, leak, zero_point, minimum, maximum, out):
    """TFLite's two roundings.

    values : int64 (samples, size), codes less their zero point; out : integer of the same shape
    slopes : int64 (size,), what multiplies values below zero before the scaling: 1, or PRELU's centered codes
    identity, leak : (multiplier, shift) of values of zero and above, and of products below
    A negative multiplier is applied as the positive one and the result negated, which matters for ties.
    """
    sign = np.int64(-1) if leak[0] < 0 else np.int64(1)
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            if values[n, i] >= 0:
                code = requantize_tflite_double_rounding(values[n, i], identity[0], identity[1])
            else:
                product = values[n, i] * np.int64(slopes[i])
                code = sign * requantize_tflite_double_rounding(product, sign * np.int64(leak[0]), leak[1])
            out[n, i] = clamp(code + np.int64(zero_point), np.int64(minimum), np.int64(maximum))


@kernel
def leaky_relu_eight_bit_multiplier(values, identity, leak, zero_point, minimum, maximum, out):
    """XNNPACK: multipliers with 8 fraction bits, ties up. values : int64 (samples, size)."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            multiplier = np.int64(identity) if values[n, i] > 0 else np.int64(leak)
            code = (values[n, i] * multiplier + np.int64(128)) >> np.int64(8)
            out[n, i] = clamp(code + np.int64(zero_point), np.int64(minimum), np.int64(maximum))
