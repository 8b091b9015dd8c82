"""Real values to codes, codes to real values, and codes of one scale to codes of another.

Source: TFLite reference/quantize.h, reference/requantize.h, reference/dequantize.h; google/XNNPACK src/qs8-vcvt,
src/f32-qs8-vcvt.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fused import fused_multiply_add
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import round_half_away


@kernel
def quantize_half_away(values, scale, zero_point, minimum, maximum, out):
    """Division in the width of `scale`, float32 or float64; ties away from zero.

    values : float32 (samples, size); out : integer (samples, size)
    What does not fit an int32, and NaN, becomes the smallest int32, as in x86's conversion; adding the zero point
    wraps.
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            quotient = np.float64(values[n, i] / scale)
            code = round_half_away(quotient) if abs(quotient) < 2147483648.0 else np.int64(-2147483648)
            out[n, i] = clamp(wrap_int32(wrap_int32(code) + np.int64(zero_point)), np.int64(minimum), np.int64(maximum))


@kernel
def quantize_half_even(values, inverse_scale, zero_point, minimum, maximum, out):
    """float32 product with the reciprocal; ties to even. Otherwise as `quantize_half_away`."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            product = np.float64(values[n, i] * np.float32(inverse_scale))
            code = np.int64(np.rint(product)) if abs(product) < 2147483648.0 else np.int64(-2147483648)
            out[n, i] = clamp(wrap_int32(wrap_int32(code) + np.int64(zero_point)), np.int64(minimum), np.int64(maximum))


@kernel
def quantize_limited_half_even(values, inverse_scale, zero_point, minimum, maximum, out):
    """XNNPACK: the product limited to the codes, then rounded, ties to even; NaN gives `maximum`. Same shapes."""
    low, high = np.float32(minimum - zero_point), np.float32(maximum - zero_point)
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            product = values[n, i] * np.float32(inverse_scale)
            limited = max(product, low) if product < high else high
            out[n, i] = np.int64(np.rint(limited)) + np.int64(zero_point)


@kernel
def quantize_fused_half_even(values, inverse_scale, zero_point, minimum, maximum, out):
    """FBGEMM: one fused multiply-add with the reciprocal and the zero point, ties to even; NaN gives `minimum`. Same
    shapes.

    Source: pytorch/FBGEMM QuantUtilsAvx2.cc, QuantizeAvx2; measured on torch 2.13.0.
    """
    low, high = np.float32(minimum), np.float32(maximum)
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            value = fused_multiply_add(values[n, i], np.float32(inverse_scale), np.float32(zero_point))
            out[n, i] = np.int64(np.rint(min(value, high) if value > low else low))


@kernel
def requantize_eight_bit_multiplier(codes, input_zero_point, multiplier, zero_point, minimum, maximum, out):
    """XNNPACK: a multiplier with 8 fraction bits, ties up. codes, out : integer (samples, size)."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            product = (np.int64(codes[n, i]) - np.int64(input_zero_point)) * np.int64(multiplier)
            value = ((product + np.int64(128)) >> np.int64(8)) + np.int64(zero_point)
            out[n, i] = clamp(value, np.int64(minimum), np.int64(maximum))


@kernel
def dequantize(codes, scale, zero_point, out):
    """float32(scale * (code - zero_point)), rounded once. codes : integer (samples, size); out : float32."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            centered = np.float64(np.int64(codes[n, i]) - np.int64(zero_point))
            out[n, i] = np.float32(np.float64(np.float32(scale)) * centered)


@kernel
def dequantize_multiply_add(codes, scale, zero_point, out):
    """float32(code * scale) - float32(zero_point * scale), rounded three times. Same shapes.

    Source: TFLite optimized/optimized_ops.h, Dequantize.
    """
    offset = np.float32(-np.float64(zero_point) * np.float64(np.float32(scale)))
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[n, i] = np.float32(codes[n, i]) * np.float32(scale) + offset
