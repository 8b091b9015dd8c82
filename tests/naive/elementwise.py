"""ADD, the conversions between codes and floats, and the operators that only move codes."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from .linear import Array
from .rounding import (
    clamp,
    divide_by_pot,
    double_half_up,
    double_rounding,
    doubling_high_mul,
    half_away,
    half_even,
    half_up,
    quantize_multiplier,
    type_range,
    wrap,
)

Quantization = tuple[float, int]


def add(
    x1: Array,
    x2: Array,
    first: Quantization,
    second: Quantization,
    target: Quantization,
    lo: int,
    hi: int,
    rule: str,
    kinds: Sequence[str] | None = None,
) -> Array:
    """ADD of two tensors of one shape.

    kinds : for 'optimized', what computes each element: 'int8', 'uint8' or 'int16' vector code, or 'reference'
    rule : 'reference' (TFLite reference/add.h and integer_ops/add.h, TFLM), 'optimized' (TFLite
    optimized/integer_ops/add.h, and optimized_ops.h for uint8, with NEON or its SSE translation) or
    'xnnpack' (qs8/qu8 vadd).
    """
    out = np.zeros(x1.shape, x1.dtype)
    whole = _whole_vectors(x1.size, 8 if x1.dtype == np.uint8 else 16) if rule == "optimized" else 0
    styles = kinds or [x1.dtype.name if n < whole else "reference" for n in range(x1.size)]
    for n, (a, b) in enumerate(zip(x1.flat, x2.flat, strict=True)):
        if rule == "xnnpack":
            code = _add_xnnpack(int(a), int(b), first, second, target)
        else:
            style = styles[n] if rule == "optimized" else "reference"
            code = _add_tflite(int(a), int(b), first, second, target, style, x1.dtype)
        out.flat[n] = clamp(code, lo, hi)
    return out


def _whole_vectors(size: int, width: int) -> int:
    """Elements of a flat array that the vector loop covers; scalar reference code does the rest."""
    return size // width * width


def _add_tflite(
    a: int,
    b: int,
    first: Quantization,
    second: Quantization,
    target: Quantization,
    style: str,
    dtype: Any,
) -> int:
    left_shift = 15 if dtype == np.int16 else 20
    twice_max = 2 * max(first[0], second[0])
    total = 0
    for code, (scale, zero_point) in ((a, first), (b, second)):
        multiplier, shift = quantize_multiplier(scale / twice_max)
        value = code - zero_point
        if style == "reference":
            total += double_rounding(value << left_shift, multiplier, shift)
        elif style == "uint8":  # the second shift drops bits
            total += doubling_high_mul(value << left_shift, multiplier) >> -shift
        else:  # the two shifts are one, before the multiplication
            folded = math.floor(value * Fraction(2) ** (left_shift + shift))
            total += doubling_high_mul(folded, multiplier)
    multiplier, shift = quantize_multiplier(twice_max / ((1 << left_shift) * target[0]))
    code = divide_by_pot(doubling_high_mul(total, multiplier), -shift)
    if style in ("int8", "uint8"):  # the vector code narrows to 16 bits, dropping the high ones
        return wrap(wrap(code, 16) + target[1], 16)
    return code + target[1]


def _add_xnnpack(a: int, b: int, first: Quantization, second: Quantization, target: Quantization) -> int:
    ratios = [np.float32(scale) / np.float32(target[0]) for scale, _ in (first, second)]
    shift = 20 - (math.frexp(float(max(ratios)))[1] - 1)
    total = 0
    for code, (_, zero_point), ratio in ((a, first, ratios[0]), (b, second, ratios[1])):
        total += (code - zero_point) * half_even(Fraction(float(ratio)) * (1 << shift))
    return half_up(Fraction(total, 1 << shift)) + target[1]


def quantize(x: Array, scale: float, zero_point: int, dtype: Any, rule: str) -> Array:
    """QUANTIZE from float32.

    rule : 'reference' (TFLite reference/quantize.h, TFLM: divide in float32, ties away), 'xnnpack'
    (multiply by the float32 reciprocal, ties to even) or 'optimized' (TFLite optimized_ops.h
    AffineQuantize: the second in whole vectors of 8; the rest divides in float64, ties away).
    """
    lo, hi = type_range(dtype)
    whole = {"reference": 0, "xnnpack": 0, "optimized": _whole_vectors(x.size, 8)}[rule]
    inverse = np.float32(1) / np.float32(scale)
    out = np.zeros(x.shape, dtype)
    for n, stored in enumerate(x.flat):
        real = np.float32(stored)
        with np.errstate(over="ignore"):
            product, quotient = real * inverse, real / np.float32(scale)
        if rule == "xnnpack":
            bounded = _clamp_float(float(product), lo - zero_point, hi - zero_point)
            code = half_even(Fraction(bounded)) + zero_point
        elif n < whole:
            code = _convert(product, half_even) + zero_point
        elif rule == "reference":
            code = _convert(quotient, half_away) + zero_point
        else:
            code = _convert(float(real) / scale, half_away) + zero_point
        out.flat[n] = clamp(wrap(code), lo, hi)
    return out


def _clamp_float(x: float, lo: int, hi: int) -> float:
    """The nearest value to `x` in [lo, hi], infinities included; not a number gives hi."""
    return max(x, float(lo)) if x < hi else float(hi)


def _convert(real: Any, rounding: Callable[[Fraction], int]) -> int:
    """Float to int32 as x86 does it: what does not fit becomes the smallest int32."""
    smallest = -(1 << 31)
    if not abs(real) < 1 << 31:
        return smallest
    code = rounding(Fraction(float(real)))
    return code if wrap(code) == code else smallest


def requantize(x: Array, source: Quantization, target: Quantization, dtype: Any, rule: str) -> Array:
    """QUANTIZE from codes to codes.

    rule : 'double_rounding' (TFLite reference/requantize.h, TFLM), 'double_half_up' (its vector
    form), 'optimized' (TFLite optimized_ops.h Requantize, 8 bits to 8 bits: the second in whole
    vectors of 16, the first in the rest) or 'xnnpack' (qs8/qu8 vcvt, the ratio in eight fractional
    bits).
    """
    lo, hi = type_range(dtype)
    multiplier, shift = quantize_multiplier(source[0] / target[0])
    ratio = half_even(Fraction(float(np.float32(source[0]) / np.float32(target[0]))) * 256)
    whole = {"double_half_up": x.size, "optimized": _whole_vectors(x.size, 16)}.get(rule, 0)
    out = np.zeros(x.shape, dtype)
    for n, stored in enumerate(x.flat):
        value = int(stored) - source[1]
        if rule == "xnnpack":
            code = half_up(Fraction(value * ratio, 256))
        elif n < whole:
            code = double_half_up(value, multiplier, shift)
        else:
            code = double_rounding(value, multiplier, shift)
        out.flat[n] = clamp(code + target[1], lo, hi)
    return out


def dequantize(x: Array, scale: float, zero_point: int, rule: str = "reference") -> Array:
    """Codes to float32.

    rule : 'reference' (TFLite reference/dequantize.h, TFLM, XNNPACK: the exact product, rounded
    once) or 'optimized' (TFLite optimized_ops.h Dequantize of 8 bits: in whole vectors of 8, float32
    code * scale plus float32 -zero_point * scale).
    """
    whole = {"reference": 0, "optimized": _whole_vectors(x.size, 8)}[rule]
    offset = np.float32(-zero_point * scale)
    out = np.zeros(x.shape, np.float32)
    for n, code in enumerate(x.flat):
        if n < whole:
            out.flat[n] = np.float32(int(code)) * np.float32(scale) + offset
        else:
            out.flat[n] = np.float32(scale * (int(code) - zero_point))
    return out


def concatenation(tensors: Sequence[Array], sources: Sequence[Quantization], target: Quantization, axis: int) -> Array:
    """CONCATENATION; a uint8 input whose quantization differs from the output's is rescaled.

    Source: TFLite reference/concatenation.h, ConcatenationWithScaling (float32 throughout).
    """
    axis %= tensors[0].ndim
    inverse = np.float32(1) / np.float32(target[0])
    parts = []
    for x, (scale, zero_point) in zip(tensors, sources, strict=True):
        part = x.copy()
        if (scale, zero_point) != tuple(target):
            assert x.dtype == np.uint8
            ratio = np.float32(scale) * inverse
            bias = np.float32(-zero_point) * ratio
            for index in np.ndindex(*x.shape):
                real = np.float32(int(x[index])) * ratio + bias
                part[index] = clamp(half_away(Fraction(float(real))) + target[1], 0, 255)
        parts.append(part)
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    out = np.zeros(shape, parts[0].dtype)
    begin = 0
    for part in parts:
        for index in np.ndindex(*part.shape):
            where = list(index)
            where[axis] += begin
            out[tuple(where)] = part[index]
        begin += part.shape[axis]
    return out


def arg_max(x: Array, axis: int, dtype: Any = np.int64) -> Array:
    """First index of the largest code along `axis`. Source: TFLite reference/arg_min_max.h."""
    axis %= x.ndim
    out = np.zeros(x.shape[:axis] + x.shape[axis + 1 :], dtype)
    for index in np.ndindex(*out.shape):
        best = 0
        for position in range(x.shape[axis]):
            here, there = [(*index[:axis], p, *index[axis:]) for p in (position, best)]
            if x[here] > x[there]:
                best = position
        out[index] = best
    return out


def pad(x: Array, paddings: Sequence[tuple[int, int]], value: int) -> Array:
    """PAD with a code, which for PAD is the zero point. Source: TFLite reference/pad.h."""
    shape = [before + n + after for n, (before, after) in zip(x.shape, paddings, strict=True)]
    out = np.zeros(shape, x.dtype)
    for index in np.ndindex(*shape):
        inner = tuple(i - before for i, (before, _) in zip(index, paddings, strict=True))
        inside = all(0 <= i < n for i, n in zip(inner, x.shape, strict=True))
        out[index] = x[inner] if inside else value
    return out


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """RESHAPE: the flat order stays; one size may be -1. Source: TFLite kernels/reshape.cc."""
    known = math.prod(n for n in shape if n != -1)
    out = np.zeros([x.size // known if n == -1 else n for n in shape], x.dtype)
    for n, code in enumerate(x.flat):
        out.flat[n] = code
    return out
