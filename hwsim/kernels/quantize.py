"""Real values to codes, codes to real values, and codes of one scale to codes of another.

Source: TFLite reference/quantize.h, reference/requantize.h, reference/dequantize.h; google/XNNPACK src/qs8-vcvt, src/f32-qs8-vcvt.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.requantize import round_half_away


@kernel
def quantize_half_away(values, scale, zero_point, minimum, maximum, out):  # type: ignore[no-untyped-def]
    """float32 division, ties away from zero; NaN gives `minimum`. values : float32 (size,); out : integer (size,)."""
    for i in range(values.shape[0]):
        quotient = np.float64(values[i] / np.float32(scale))
        limited = min(max(quotient, -2147483648.0), 2147483647.0) if quotient == quotient else -2147483648.0
        out[i] = clamp(round_half_away(limited) + np.int64(zero_point), np.int64(minimum), np.int64(maximum))


@kernel
def quantize_half_even(values, inverse_scale, zero_point, minimum, maximum, out):  # type: ignore[no-untyped-def]
    """float32 product with the reciprocal, ties to even; NaN gives `minimum`. Same shapes."""
    for i in range(values.shape[0]):
        product = np.float64(np.rint(values[i] * np.float32(inverse_scale)))
        limited = min(max(product, -2147483648.0), 2147483647.0) if product == product else -2147483648.0
        out[i] = clamp(np.int64(limited) + np.int64(zero_point), np.int64(minimum), np.int64(maximum))


@kernel
def requantize_eight_bit_multiplier(codes, input_zero_point, multiplier, zero_point, minimum, maximum, out):  # type: ignore[no-untyped-def]
    """XNNPACK: a multiplier with 8 fraction bits, ties up. codes, out : integer (size,)."""
    for i in range(codes.shape[0]):
        product = (np.int64(codes[i]) - np.int64(input_zero_point)) * np.int64(multiplier)
        value = ((product + np.int64(128)) >> np.int64(8)) + np.int64(zero_point)
        out[i] = clamp(value, np.int64(minimum), np.int64(maximum))


@kernel
def dequantize(codes, scale, zero_point, out):  # type: ignore[no-untyped-def]
    """float32(scale * (code - zero_point)). codes : integer (size,); out : float32 (size,)."""
    for i in range(codes.shape[0]):
        out[i] = np.float32(np.float64(np.float32(scale)) * np.float64(np.int64(codes[i]) - np.int64(zero_point)))
