"""Pooling and MEAN."""

import math
from fractions import Fraction
from typing import Any

import numpy as np

from .linear import Array, Padding, window
from .rounding import (
    clamp,
    double_half_up,
    double_rounding,
    half_away,
    half_even,
    quantize_multiplier,
    truncate,
    type_range,
)


def average_pool_2d(
    x: Array, filter_size: tuple[int, int], stride: tuple[int, int], padding: Padding, lo: int, hi: int
) -> Array:
    """Mean of the codes under the window that lie in the image, ties away from zero.

    Source: TFLite reference/integer_ops/pooling.h and reference/pooling.h (uint8), AveragePool.
    The zero point stays in: input and output share it. C's (acc +- n/2) / n is that rounding.
    """
    out = _pooled(x, filter_size, stride, padding)
    for index in np.ndindex(*out.shape):
        taps = _taps(x, index, filter_size, stride, padding)
        out[index] = clamp(half_away(Fraction(sum(taps), len(taps))), lo, hi)
    return out


def max_pool_2d(
    x: Array, filter_size: tuple[int, int], stride: tuple[int, int], padding: Padding, lo: int, hi: int
) -> Array:
    """Largest code under the window. Source: TFLite reference/integer_ops/pooling.h, MaxPool."""
    out = _pooled(x, filter_size, stride, padding)
    for index in np.ndindex(*out.shape):
        out[index] = clamp(max(_taps(x, index, filter_size, stride, padding)), lo, hi)
    return out


def mean(
    x: Array,
    axes: tuple[int, ...],
    source: tuple[float, int],
    target: tuple[float, int],
    rule: str,
    keep_dims: bool = False,
) -> Array:
    """MEAN over `axes` with requantization from `source` to `target` (scale, zero point).

    rule : 'reference' (TFLite reference/reduce.h, QuantizedMeanOrSum; TFLM), 'optimized' (TFLite
    optimized/integer_ops/mean.h and optimized/reduce.h: 8 bits, four axes, height and width kept as
    ones, one thread) or 'xnnpack' (reduce-nd.c).
    """
    axes = tuple(axis % x.ndim for axis in axes)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    out = np.zeros([x.shape[axis] for axis in kept], x.dtype)
    count = math.prod(x.shape[axis] for axis in axes)
    lo, hi = type_range(x.dtype)
    steps = {"reference": _mean_reference, "optimized": _mean_optimized, "xnnpack": _mean_xnnpack}
    whole = x.shape[-1] // 16 * 16  # channels in whole vectors
    for index in np.ndindex(*out.shape):
        where: list[Any] = [slice(None)] * x.ndim
        for axis, position in zip(kept, index, strict=True):
            where[axis] = position
        total = sum(int(v) for v in x[tuple(where)].flat)
        vectored = rule == "optimized" and index[-1] < whole
        step = _mean_optimized_vector if vectored else steps[rule]
        out[index] = clamp(step(total, count, source, target), lo, hi)
    if keep_dims:
        return out.reshape([1 if axis in axes else n for axis, n in enumerate(x.shape)])
    return out


def _mean_reference(total: int, count: int, source: tuple[float, int], target: tuple[float, int]) -> int:
    multiplier, shift = quantize_multiplier(source[0] / target[0])
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    multiplier = truncate(Fraction(multiplier << extra, count))
    return double_rounding(total - source[1] * count, multiplier, shift - extra) + target[1]


def _mean_optimized(total: int, count: int, source: tuple[float, int], target: tuple[float, int]) -> int:
    multiplier, shift, offset = _optimized_parameters(count, source, target)
    return double_rounding(total, multiplier, shift) + offset


def _mean_optimized_vector(total: int, count: int, source: tuple[float, int], target: tuple[float, int]) -> int:
    multiplier, shift, offset = _optimized_parameters(count, source, target)
    return double_half_up(total, multiplier, shift) + offset


def _optimized_parameters(count: int, source: tuple[float, int], target: tuple[float, int]) -> tuple[int, int, int]:
    input_scale, output_scale = np.float32(source[0]), np.float32(target[0])
    shifted = np.float32(source[1]) * input_scale / output_scale
    shifted = shifted + np.float32(0.5) if shifted > 0 else shifted - np.float32(0.5)
    real = input_scale / (np.float32(count) * output_scale)
    return *quantize_multiplier(float(real)), target[1] - int(shifted)


def _mean_xnnpack(total: int, count: int, source: tuple[float, int], target: tuple[float, int]) -> int:
    ratio = np.float32(source[0]) / np.float32(target[0])
    scale = ratio * (np.float32(1) / np.float32(count))
    offset = np.float32(target[1]) - np.float32(source[1] * count) * scale
    return half_even(Fraction(float(np.float32(total) * scale + offset)))


def _pooled(x: Array, filter_size: tuple[int, int], stride: tuple[int, int], padding: Padding) -> Array:
    sizes = [window(padding, a, x.shape[1 + a], filter_size[a], stride[a])[1] for a in (0, 1)]
    return np.zeros((x.shape[0], *sizes, x.shape[3]), x.dtype)


def _taps(
    x: Array,
    index: tuple[int, ...],
    filter_size: tuple[int, int],
    stride: tuple[int, int],
    padding: Padding,
) -> list[int]:
    batch, y, z, channel = index
    top, _ = window(padding, 0, x.shape[1], filter_size[0], stride[0])
    left, _ = window(padding, 1, x.shape[2], filter_size[1], stride[1])
    rows = range(y * stride[0] - top, y * stride[0] - top + filter_size[0])
    columns = range(z * stride[1] - left, z * stride[1] - left + filter_size[1])
    return [
        int(x[batch, row, column, channel])
        for row in rows
        for column in columns
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]
    ]
