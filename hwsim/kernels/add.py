"""Elementwise addition of two quantized tensors, each with its own scale.

Source: TFLite reference/integer_ops/add.h, optimized/integer_ops/add.h; google/XNNPACK src/qs8-vadd.
"""

from typing import NamedTuple

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp, wrap_int16, wrap_int32
from hwsim.kernels.requantize import (
    doubling_high_multiply,
    requantize_tflite_double_rounding,
    rounding_shift_right,
)


class AddParams(NamedTuple):
    """Both inputs' and the output's part of an addition; each pair is (first input, second input).

    left_shift : bits that both inputs are raised by before their multipliers
    multipliers, shifts : of the inputs; shifts are <= 0
    multiplier, shift : of the sum; shift is <= 0 for TFLite
    """

    zero_points: tuple[int, int]
    multipliers: tuple[int, int]
    shifts: tuple[int, int]
    left_shift: int
    multiplier: int
    shift: int
    zero_point: int
    minimum: int
    maximum: int


@kernel
def add_tflite_reference(first, second, p, start, stop, out):
    """Both inputs requantized to a common scale, added, requantized.

    first, second, out : int8 or uint8 (samples, size); the elements start <= i < stop of each sample are computed
    """
    for n in range(out.shape[0]):
        for i in range(start, stop):
            raised = (np.int64(first[n, i]) - p.zero_points[0]) << np.int64(p.left_shift)
            total = requantize_tflite_double_rounding(raised, p.multipliers[0], p.shifts[0])
            raised = (np.int64(second[n, i]) - p.zero_points[1]) << np.int64(p.left_shift)
            total += requantize_tflite_double_rounding(raised, p.multipliers[1], p.shifts[1])
            value = requantize_tflite_double_rounding(wrap_int32(total), p.multiplier, p.shift) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))


@kernel
def add_tflite_simd(first, second, p, start, stop, out):
    """LiteRT's vector body for int8: each input's shift joins the left shift, so the inputs round once. Same
    arguments.
    """
    for n in range(out.shape[0]):
        for i in range(start, stop):
            raised = (np.int64(first[n, i]) - p.zero_points[0]) << np.int64(p.left_shift + p.shifts[0])
            total = doubling_high_multiply(raised, p.multipliers[0])
            raised = (np.int64(second[n, i]) - p.zero_points[1]) << np.int64(p.left_shift + p.shifts[1])
            total += doubling_high_multiply(raised, p.multipliers[1])
            out[n, i] = narrow_sum(total, p)


@kernel
def add_tflite_simd_int16(first, second, p, start, stop, out):
    """LiteRT's vector body for int16: as for int8, but all in 32 bits. Same arguments."""
    for n in range(out.shape[0]):
        for i in range(start, stop):
            raised = (np.int64(first[n, i]) - p.zero_points[0]) << np.int64(p.left_shift + p.shifts[0])
            total = doubling_high_multiply(raised, p.multipliers[0])
            raised = (np.int64(second[n, i]) - p.zero_points[1]) << np.int64(p.left_shift + p.shifts[1])
            total += doubling_high_multiply(raised, p.multipliers[1])
            value = requantize_tflite_double_rounding(wrap_int32(total), p.multiplier, p.shift) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))


@kernel
def add_tflite_simd_uint8(first, second, p, start, stop, out):
    """LiteRT's vector body for uint8: each input's shift comes after the multiplier and drops bits. Same arguments."""
    for n in range(out.shape[0]):
        for i in range(start, stop):
            raised = (np.int64(first[n, i]) - p.zero_points[0]) << np.int64(p.left_shift)
            total = doubling_high_multiply(raised, p.multipliers[0]) >> np.int64(-p.shifts[0])
            raised = (np.int64(second[n, i]) - p.zero_points[1]) << np.int64(p.left_shift)
            total += doubling_high_multiply(raised, p.multipliers[1]) >> np.int64(-p.shifts[1])
            out[n, i] = narrow_sum(total, p)


@kernel
def narrow_sum(total, p):
    """A sum through the output's multiplier, narrowed to 16 bits on the way as the vector registers do."""
    scaled = rounding_shift_right(doubling_high_multiply(wrap_int32(total), p.multiplier), -p.shift)
    value = wrap_int16(wrap_int16(scaled) + np.int64(p.zero_point))
    return clamp(value, np.int64(p.minimum), np.int64(p.maximum))


@kernel
def add_xnnpack(first, second, p, start, stop, out):
    """One sum with 21-bit multipliers, rounded once, ties up; `shift` counts to the right. Same arguments."""
    half = np.int64(1) << np.int64(p.shift - 1)
    bias = half - np.int64(p.multipliers[0]) * p.zero_points[0] - np.int64(p.multipliers[1]) * p.zero_points[1]
    for n in range(out.shape[0]):
        for i in range(start, stop):
            total = np.int64(first[n, i]) * p.multipliers[0] + np.int64(second[n, i]) * p.multipliers[1] + bias
            value = (total >> np.int64(p.shift)) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
