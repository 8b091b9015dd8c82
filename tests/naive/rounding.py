"""Rounding primitives, fixed-point multipliers and the requantizers built from them.

The three ways to round are written on exact fractions; each engine's formula is then one of them
applied once or twice, which is what its shifts and nudges amount to.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np

HALF = Fraction(1, 2)


def half_up(x: Fraction) -> int:
    """Nearest integer, ties toward plus infinity."""
    return math.floor(x + HALF)


def half_away(x: Fraction) -> int:
    """Nearest integer, ties away from zero (C ``round``)."""
    return math.floor(x + HALF) if x >= 0 else -math.floor(-x + HALF)


def half_even(x: Fraction) -> int:
    """Nearest integer, ties to even (C ``rint``, x86 ``cvtps2dq``)."""
    return round(x)


def truncate(x: Fraction) -> int:
    """Toward zero, as C integer division does."""
    return math.trunc(x)


def clamp(x: int, lo: int, hi: int) -> int:
    """The nearest value to `x` in [lo, hi]."""
    return min(max(x, lo), hi)


def wrap(x: int, bits: int = 32) -> int:
    """`x` as a two's complement register of `bits` bits keeps it."""
    x %= 1 << bits
    return x - (1 << bits) if x >= 1 << (bits - 1) else x


def type_range(dtype: Any) -> tuple[int, int]:
    """Smallest and largest code of an integer dtype."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def doubling_high_mul(a: int, b: int) -> int:
    """High word of 2ab, ties up. gemmlowp fixedpoint.h, SaturatingRoundingDoublingHighMul."""
    return min(half_up(Fraction(a * b, 1 << 31)), (1 << 31) - 1)


def divide_by_pot(x: int, exponent: int) -> int:
    """x / 2**exponent, ties away from zero. gemmlowp fixedpoint.h, RoundingDivideByPOT."""
    return half_away(Fraction(x, 1 << exponent))


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Multiplier in [2**30, 2**31) and shift with real = multiplier * 2**(shift - 31).

    Source: TFLite kernels/internal/quantization_util.cc, QuantizeMultiplier (default build).
    """
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = half_away(Fraction(fraction) * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = 1 << 30, shift + 1
    if shift < -31:
        return 0, 0
    return multiplier, shift


def double_rounding(acc: int, multiplier: int, shift: int) -> int:
    """Multiply, round up, shift, round away.

    Source: TFLite kernels/internal/common.cc, MultiplyByQuantizedMultiplier, default build.
    """
    high = doubling_high_mul(wrap(acc << max(shift, 0)), multiplier)
    return divide_by_pot(high, max(-shift, 0))


def double_half_up(acc: int, multiplier: int, shift: int) -> int:
    """Multiply, round up, shift, round up.

    Source: ruy kernel_avx2_fma.cc and kernel_avx512.cc; TFLite MultiplyByQuantizedMultiplier4Rows.
    """
    high = doubling_high_mul(wrap(acc << max(shift, 0)), multiplier)
    return half_up(Fraction(high, 1 << max(-shift, 0)))


def single_rounding(acc: int, multiplier: int, shift: int) -> int:
    """One rounding of the 64-bit product, ties up; shift at most 30.

    Source: TFLite common.cc under TFLITE_SINGLE_ROUNDING; ruy apply_multiplier.cc.
    """
    return half_up(acc * multiplier * Fraction(2) ** (shift - 31))


def reduced_int64(acc: int, multiplier: int, shift: int) -> int:
    """One rounding, ties up, with the multiplier cut to 15 bits; for 64-bit accumulators.

    Source: TFLite common.cc, MultiplyByQuantizedMultiplier(int64_t, ...).
    """
    reduced = half_up(Fraction(multiplier, 1 << 16)) if multiplier < 0x7FFF0000 else 0x7FFF
    return wrap(half_up(acc * reduced * Fraction(2) ** (shift - 15)))


def float32(acc: int, scale: float) -> int:
    """Product in float32, ties to even. XNNPACK qs8/qu8/qc8w "fp32" requantization (x86)."""
    return half_even(Fraction(float(np.float32(acc) * np.float32(scale))))


def float64(acc: int, scale: float) -> int:
    """Product in float64, ties away. LiteRT reference_integer_ops FullyConnected."""
    return half_away(Fraction(float(acc) * scale))


def dyadic(mode: str, acc: int, multiplier: int, shift: int) -> int:
    """One rounding of the exact product; mode 'floor', 'half_away', 'half_even' or 'truncate'."""
    ways = {"floor": math.floor, "half_away": half_away, "half_even": half_even, "truncate": truncate}
    return ways[mode](acc * multiplier * Fraction(2) ** (shift - 31))


def float64_half_even(acc: int, multiplier: int, shift: int) -> int:
    """The product rounded to a double, then exactly shifted, ties to even. HAWQ quant_utils.py, fixedpoint_mul."""
    return half_even(Fraction(float(acc) * float(multiplier)) * Fraction(2) ** (shift - 31))


def activation_range(activation: str, scale: float, zero_point: int, dtype: Any) -> tuple[int, int]:
    """Output codes that a fused activation allows, both ends included.

    Source: TFLite kernels/kernel_util.cc, CalculateActivationRangeQuantized (float32 division).
    """
    lo, hi = type_range(dtype)
    bounds: dict[str, tuple[float | None, float | None]] = {
        "none": (None, None),
        "relu": (0.0, None),
        "relu6": (0.0, 6.0),
        "relu_n1_to_1": (-1.0, 1.0),
    }

    def code(real: float) -> int:
        return zero_point + half_away(Fraction(float(np.float32(real) / np.float32(scale))))

    low, high = bounds[activation]
    return (
        lo if low is None else max(lo, code(low)),
        hi if high is None else min(hi, code(high)),
    )


def effective_scales(kind: str, input_scale: float, weight_scales: list[float], output_scale: float) -> list[float]:
    """Real multipliers input * weight / output, one per channel, in the engine's precision.

    kind : 'float64' (TFLM throughout; LiteRT int8 conv, per-channel and reference fully connected),
    'float32_product' (LiteRT kernel_util.cc GetQuantizedConvolutionMultipler: uint8 conv, per-tensor
    optimized fully connected) or 'float32' (XNNPACK).
    """
    scales = []
    for weight_scale in weight_scales:
        product = np.float32(input_scale) * np.float32(weight_scale)
        if kind == "float64":
            scales.append(input_scale * weight_scale / output_scale)
        elif kind == "float32_product":
            scales.append(float(product) / output_scale)
        elif kind == "float32":
            scales.append(float(product / np.float32(output_scale)))
        else:
            raise ValueError(f"unknown kind {kind!r}")
    return scales
