"""LOGISTIC, TANH and SOFTMAX of int16 codes in plain Python, written apart from the package; part of `tests.oracle`."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from hwsim.graph import Tensor
from tests.naive.rounding import clamp, divide_by_pot, double_rounding, half_away, half_up, quantize_multiplier, wrap
from tests.naive.softmax import EXP_FACTORS

Array = np.ndarray[Any, Any]
ONE_MORE = {
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46, 49,
    50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135,
}  # fmt: skip
SIGMOID = [half_up(Fraction(65536 / (1 + math.exp(-i / 24)))) + (i in ONE_MORE) for i in range(255)] + [65535]
"""TFLite common.h, sigmoid_table_uint16."""


def _scale(tensor: Tensor) -> float:
    return float(tensor.format.scale[0])  # type: ignore[union-attr]


def _power(scale: float) -> int | None:
    """p of a scale 2^(p - 12)."""
    exponent = math.log2(scale)
    return round(exponent) + 12 if abs(exponent - round(exponent)) < 1e-3 else None


def _argument(x: int, scale: float, plain: tuple[int, ...]) -> int:
    """x * scale in steps of 1 / 12288, by a multiplier of 15 bits."""
    power = _power(scale)
    if power in plain:
        return x * 3 << power  # type: ignore[operator]
    real, shift = scale * 12288, 0
    while real <= 16383.5 and shift <= 30:
        real, shift = real * 2, shift + 1
    return half_up(Fraction(x * math.trunc(real), 1 << shift))


def _interpolated(size: int, bits: int) -> int:
    """The logistic function in 16 + bits fraction bits."""
    index, rest = divmod(size, 1 << bits)
    if index >= 255:
        return (0x7FFF << 10) if bits == 9 else 0xFFFF << 8
    return (SIGMOID[index] << bits) + rest * (SIGMOID[index + 1] - SIGMOID[index])


def logistic(x: int, scale: float, engine: str) -> int:
    """TFLite reference/integer_ops/logistic.h; gemmlowp's where the optimized kernel takes it."""
    if engine in ("litert-optimized", "xnnpack") and _power(scale) == 0:
        return _logistic_q15(x)
    v = _argument(x, scale, (0,))
    r = _interpolated(abs(v), 9)
    return (r + 512) // 1024 if v >= 0 else ((1 << 25) - r + 511) // 1024


def tanh(x: int, scale: float, engine: str) -> int:
    """TFLite reference/integer_ops/tanh.h; gemmlowp's where the optimized kernel takes it."""
    power = _power(scale)
    if engine in ("litert-optimized", "xnnpack") and power in (0, 1):
        return _tanh_q15(clamp(x << power, -32768, 32767))  # type: ignore[operator]
    v = _argument(x, scale, (0, 1))
    r = _interpolated(abs(v), 8)
    return (r - (1 << 23) + 128) // 256 if v >= 0 else ((1 << 23) - r + 127) // 256


def _high(a: int, b: int) -> int:
    """gemmlowp SaturatingRoundingDoublingHighMul in 16 bits."""
    return min(half_up(Fraction(a * b, 1 << 15)), 32767)


def _saturated(x: int) -> int:
    return clamp(x, -32768, 32767)


def _exp_negative(a: int, integer_bits: int) -> int:
    """exp(a) in Q0.15 for a <= 0. gemmlowp exp_on_negative_values on int16."""
    if a == 0:
        return 32767
    if integer_bits > 5 and Fraction(a, 1 << (15 - integer_bits)) < -32:
        return 0
    quarter = 1 << (13 - integer_bits)
    within = a % quarter - quarter
    x = wrap(_saturated(within << integer_bits) + 4096, 16)
    x2 = _high(x, x)
    x3, x4 = _high(x2, x), _high(x2, x2)
    third = _high(wrap(divide_by_pot(x4, 2) + x3, 16), divide_by_pot(715827883, 16))
    start = divide_by_pot(1895147668, 16)
    result = _saturated(start + _high(start, wrap(x + divide_by_pot(wrap(third + x2, 16), 1), 16)))
    for exponent, factor in EXP_FACTORS:
        if integer_bits > exponent and (within - a) & (1 << (15 - integer_bits + exponent)):
            result = _high(result, divide_by_pot(factor, 16))
    return result


def _newton(a: int) -> int:
    """2 / (1 + a) in Q2.13."""
    half = half_away(Fraction(a + 32767, 2))
    x = wrap(divide_by_pot(1515870810, 16) + _high(half, divide_by_pot(-1010580540, 16)), 16)
    for _ in range(3):
        x = wrap(x + _saturated(_high(x, wrap(8192 - _high(half, x), 16)) << 2), 16)
    return x


def _logistic_q15(x: int) -> int:
    if x == 0:
        return 16384
    y = _saturated(_newton(_exp_negative(-abs(x), 3)) << 1)
    return y if x > 0 else 32767 - y


def _tanh_q15(x: int, integer_bits: int = 3) -> int:
    if x == 0:
        return 0
    y = _saturated(wrap(_newton(_exp_negative(-abs(x), integer_bits + 1)) - 8192, 16) << 2)
    return y if x > 0 else -y


def softmax(row: list[int], scale: float, beta: float, engine: str) -> list[int]:
    """TFLite reference/softmax.h, SoftmaxInt16; TFLM makes the tables in float32 and the multiplier in float64."""
    kind: Any = np.float32 if engine == "tflite-micro" else np.float64
    product = scale * beta if engine == "tflite-micro" else float(np.float32(scale) * np.float32(beta))
    multiplier = quantize_multiplier(product / (10.0 / 65535.0))
    exps = _table(lambda v: _exp(v, kind), kind(10) / kind(65535), 32767, kind)
    inverses = _table(lambda v: kind(1) / (kind(1) + v), kind(1) / kind(65535), -32768, kind)
    codes = [_look_up(_saturated(double_rounding(x - max(row), *multiplier) + 32767), exps) for x in row]
    total = sum(codes)
    headroom = 32 - total.bit_length()
    reduced = half_up(Fraction(total << (headroom - 1), 1 << 14)) - 98304
    inverse = _look_up(_saturated(reduced), inverses)
    return [clamp(half_up(Fraction(code * inverse, 1 << (31 - headroom))), 0, 32767) for code in codes]


def _exp(value: Any, kind: Any) -> Any:
    return kind(math.exp(float(value)))


def _table(function: Callable[[Any], Any], scale: Any, zero_point: int, kind: Any) -> list[int]:
    """TFLite common.h, LUTPopulateInt16, for outputs in [-1, 1]."""

    def rounded(value: Any) -> Any:
        return kind(half_away(Fraction(float(value))))

    unit = kind(2) / kind(65535)
    low, high = scale * kind(-32768 - zero_point), scale * kind(32767 - zero_point)
    inverse = kind(65536) / (unit * kind(32767) - unit * kind(-32768))
    step = (high - low) / kind(512)
    table = []
    for i in range(512):
        here, between, there = (
            function(low + kind(i) * step),
            function(low + kind(i) * step + step / kind(2)),
            function(low + kind(i + 1) * step),
        )
        middle = rounded((there * inverse + rounded(here * inverse)) / kind(2))
        bias = rounded((middle - rounded(between * inverse)) / kind(2))
        table.append(_saturated(int(rounded(here * inverse) - bias)))
    return [*table, _saturated(int(rounded(function(high) * inverse)))]


def _look_up(x: int, table: list[int]) -> int:
    index, rest = divmod(x + 32768, 128)
    slope = wrap(table[index + 1] - table[index], 16)
    return table[index] + half_up(Fraction(slope * rest, 128))
