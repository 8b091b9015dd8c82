"""Elementwise product of two quantized tensors.

Source: TFLite reference/integer_ops/mul.h, optimized/integer_ops/mul.h, optimized/optimized_ops.h (uint8);
google/XNNPACK src/qs8-vmul.
"""

from typing import NamedTuple

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp, wrap_int16
from hwsim.kernels.requantize import requantize_float32, requantize_tflite_double_rounding


class MulParams(NamedTuple):
    """Both inputs' and the output's part of a product.

    zero_points : of the first and the second input
    multiplier, shift : Q31 and in [-31, 30]; 0 where `scale` is used
    scale : a float32 value; 0 where the multiplier is used
    zero_point, minimum, maximum : the output's
    """

    zero_points: tuple[int, int]
    multiplier: int
    shift: int
    scale: float
    zero_point: int
    minimum: int
    maximum: int


@kernel
def mul_tflite(first, second, p, out):
    """The product of both differences from the zero points, requantized. first, second, out : 8 bits, (samples, size).

    The product is at most 255 * 255.
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            product = (np.int64(first[n, i]) - p.zero_points[0]) * (np.int64(second[n, i]) - p.zero_points[1])
            value = requantize_tflite_double_rounding(product, p.multiplier, p.shift) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))


@kernel
def mul_tflite_simd(first, second, p, run, body, saturates, out):
    """The same where LiteRT's vector body, which keeps 16 bits on the way, takes the first `body` of every `run`
    elements: it narrows by saturation or by dropping bits, and then adds the zero point modulo 2^16.
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            product = (np.int64(first[n, i]) - p.zero_points[0]) * (np.int64(second[n, i]) - p.zero_points[1])
            value = requantize_tflite_double_rounding(product, p.multiplier, p.shift)
            if np.int64(i) % np.int64(run) >= np.int64(body):
                value += np.int64(p.zero_point)
            elif saturates:
                value = wrap_int16(clamp(value, np.int64(-32768), np.int64(32767)) + np.int64(p.zero_point))
            else:
                value = wrap_int16(wrap_int16(value) + np.int64(p.zero_point))
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))


@kernel
def mul_xnnpack(first, second, p, out):
    """The same with a float32 scale, ties to even. Same arguments."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            product = (np.int64(first[n, i]) - p.zero_points[0]) * (np.int64(second[n, i]) - p.zero_points[1])
            value = requantize_float32(product, p.scale) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
