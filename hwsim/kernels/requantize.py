"""From a 32-bit or 64-bit accumulator to an output code: one function per rounding rule, named after who defines it.

Integer rules take a Q31 multiplier in [2^30, 2^31) or 0 and a shift in [-31, 30], positive shifting left;
their real scale is multiplier * 2^(shift - 31). Float rules take the scale itself.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels import kernel
from hwsim.kernels.dyadic import MODES, round_shift_right
from hwsim.kernels.fused import float32_sum
from hwsim.kernels.integers import clamp, wrap_int32

ROUNDINGS = {
    "double_rounding": 0,
    "double_half_up": 1,
    "single_rounding": 2,
    "float32": 3,
    "float64": 4,
    "double_half_up_by_8": 5,
    "accumulator": 6,
    "reduced_int64": 7,
}
_DOUBLE, _DOUBLE_UP, _SINGLE, _FLOAT32, _FLOAT64, _DOUBLE_UP_BY_8, _ACCUMULATOR, _REDUCED = range(8)


class OutputStage(NamedTuple):
    """What turns accumulators into codes; one entry per output channel in each array.

    rounding : a value of `ROUNDINGS`
    multiplier, shift : int64 arrays, shape (channels,)
    scale : float64 array, shape (channels,); a float32 rule's scales are float32 values
    zero_point, minimum, maximum : the output's
    bias : float64 (channels,), for "float32_bias", which adds it to the sum of products, in units of that sum, and
        for "float32_in_turn", which adds it as a real value
    thresholds : int64 (channels, levels - 1), ascending, for "thresholds" only: a sum's code is how many it reaches
    source_scale, inverse_scale : for "float32_in_turn", the input's scale and the output's reciprocal
    """

    rounding: int
    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    scale: NDArray[np.float64]
    zero_point: int
    minimum: int
    maximum: int
    bias: NDArray[np.float64] = np.zeros(0)
    thresholds: NDArray[np.int64] = np.zeros((0, 0), np.int64)
    source_scale: float = 1.0
    inverse_scale: float = 1.0


DYADIC = 16
"""Roundings from here to DYADIC + 4 are one product rounded once, by `dyadic.MODES`; their ties up are TFLite's own
"single_rounding". They saturate where 32 bits would wrap.
"""

_FLOAT64_EVEN, _FLOAT32_BIAS, _THRESHOLDS, _FLOAT32_IN_TURN = 24, 25, 26, 27

ROUNDINGS |= {f"dyadic_{name}": DYADIC + mode for name, mode in MODES.items() if name != "half_up"}
ROUNDINGS |= {
    "float64_half_even": _FLOAT64_EVEN, "float32_bias": _FLOAT32_BIAS, "thresholds": _THRESHOLDS,
    "float32_in_turn": _FLOAT32_IN_TURN,
}  # fmt: skip

REAL_BIASES = ("float32_bias", "float32_in_turn")
"""Roundings that add a float bias after the sum of products."""

_SPECIAL = ("accumulator", "reduced_int64", "thresholds", *REAL_BIASES)
GENERAL_ROUNDINGS = tuple(name for name in ROUNDINGS if name not in _SPECIAL)
"""What a scale alone defines."""

VECTOR_ROUNDINGS = frozenset(n for n in ROUNDINGS.values() if n <= _ACCUMULATOR or n == _THRESHOLDS)
"""What `vector_output` knows."""


@kernel
def doubling_high_multiply(a, b):
    """gemmlowp SaturatingRoundingDoublingHighMul on int32 values: ties go up."""
    if a == -2147483648 and b == -2147483648:
        return np.int64(2147483647)
    return (np.int64(a) * np.int64(b) + np.int64(1073741824)) >> np.int64(31)


@kernel
def rounding_shift_right(value, shift):
    """gemmlowp RoundingDivideByPOT: value / 2^shift, ties away from zero; shift in [0, 31]."""
    mask = (np.int64(1) << np.int64(shift)) - np.int64(1)
    remainder = np.int64(value) & mask
    threshold = (mask >> np.int64(1)) + np.int64(value < 0)
    return (np.int64(value) >> np.int64(shift)) + np.int64(remainder > threshold)


@kernel
def half_up_shift_right(value, shift):
    """value / 2^shift, ties up; shift in [0, 62]."""
    if shift == 0:
        return np.int64(value)
    return ((np.int64(value) >> np.int64(shift - 1)) + np.int64(1)) >> np.int64(1)


@kernel
def requantize_tflite_double_rounding(accumulator, multiplier, shift):
    """TFLite MultiplyByQuantizedMultiplier: rounds up after the multiply, away from zero after the shift.

    Source: TFLite tflite/kernels/internal/common.h; also TFLM, CMSIS-NN's default and Ethos-U's TFL mode.
    """
    shifted = wrap_int32(np.int64(accumulator) << np.int64(max(shift, 0)))
    return rounding_shift_right(doubling_high_multiply(shifted, multiplier), max(-shift, 0))


@kernel
def requantize_ruy_double_half_up(accumulator, multiplier, shift):
    """ruy's AVX2 and AVX-512 kernels: two roundings, both up. Source: google/ruy ruy/kernel_avx2_fma.cc."""
    shifted = wrap_int32(np.int64(accumulator) << np.int64(max(shift, 0)))
    return half_up_shift_right(doubling_high_multiply(shifted, multiplier), max(-shift, 0))


@kernel
def requantize_single_rounding(accumulator, multiplier, shift):
    """One rounding, ties up: TFLITE_SINGLE_ROUNDING, CMSIS_NN_USE_SINGLE_ROUNDING, ruy on Arm, Ethos-U's NATURAL."""
    return half_up_shift_right(np.int64(accumulator) * np.int64(multiplier), 31 - shift)


@kernel
def requantize_reduced_int64(accumulator, multiplier, shift):
    """64-bit accumulators of int16 layers: the multiplier cut to 16 bits, one rounding, ties up.

    accumulator : in [-2^47, 2^47); multiplier : not negative
    Source: TFLite tflite/kernels/internal/common.cc, MultiplyByQuantizedMultiplier(int64_t, ...).
    """
    reduced = (np.int64(multiplier) + np.int64(32768)) >> np.int64(16)
    if multiplier >= 0x7FFF0000:
        reduced = np.int64(32767)
    product = np.int64(accumulator) * reduced
    if shift > 15:
        return wrap_int32(product << np.int64(shift - 15))
    return wrap_int32(half_up_shift_right(product, 15 - shift))


@kernel
def round_half_away(value):
    """C's std::round: to the nearest integer, ties away from zero. value : float64, in the range of int64."""
    whole = np.trunc(value)
    rest = value - whole
    return np.int64(whole) + np.int64(rest >= 0.5) - np.int64(rest <= -0.5)


@kernel
def requantize_float32(accumulator, scale):
    """XNNPACK, MLAS, FBGEMM and Gemmini: float32 product, ties to even; limited to the range of int32.

    Source: google/XNNPACK src/qs8-qc8w-gemm (fp32 requantization).
    """
    product = np.rint(np.float32(accumulator) * np.float32(scale))
    return np.int64(min(max(product, np.float32(-2147483648.0)), np.float32(2147483520.0)))


@kernel
def requantize_float64(accumulator, scale):
    """LiteRT's reference FULLY_CONNECTED: float64 product, ties away from zero; limited to the range of int32.

    Source: LiteRT tflite/kernels/internal/reference/integer_ops/fully_connected.h.
    """
    product = np.float64(accumulator) * np.float64(scale)
    return round_half_away(min(max(product, -2147483648.0), 2147483647.0))


@kernel
def requantize_float64_half_even(accumulator, multiplier, shift):
    """HAWQ-V3 as published: the product in float64, which keeps 53 bits, over 2^c; ties to even.

    Source: Zhen-Dong/HAWQ utils/quantization_utils/quant_utils.py, fixedpoint_mul.
    """
    return np.int64(np.rint(np.float64(accumulator) * np.float64(multiplier) * 2.0 ** np.float64(shift - 31)))


@kernel
def requantize_float32_bias(accumulator, scale, bias):
    """FBGEMM: the sum of products to float32, plus a float bias, times the scale, ties to even; limited to int32.

    bias : float64, since one scale per tensor makes it a product with a reciprocal that is fused with the sum
    Source: pytorch/FBGEMM include/fbgemm/OutputProcessing-inl.h, ReQuantizeOutput with a float bias.
    """
    total = float32_sum(np.float64(np.float32(accumulator)), np.float64(bias))
    product = np.rint(total * np.float32(scale))
    return np.int64(min(max(product, np.float32(-2147483648.0)), np.float32(2147483520.0)))


@kernel
def reached(accumulator, thresholds):
    """How many thresholds an accumulator reaches. thresholds : int64 (count,), ascending."""
    low, high = 0, thresholds.shape[0]
    while low < high:
        middle = (low + high) // 2
        if thresholds[middle] <= np.int64(accumulator):
            low = middle + 1
        else:
            high = middle
    return np.int64(low)


@kernel
def requantize_float32_in_turn(accumulator, channel, stage):
    """oneDNN: times the input's and the weights' scale, plus a float bias, times the output's reciprocal, plus the zero
    point, each step rounded to float32; ties to even. The zero point is in the result.

    Source: uxlfoundation/oneDNN src/cpu/x64, the JIT kernels' scales and post-ops; order measured on torch 2.13.0.
    """
    real = np.float32(accumulator) * np.float32(stage.source_scale) * np.float32(stage.scale[channel])
    real = real + np.float32(stage.bias[channel])
    code = np.rint(real * np.float32(stage.inverse_scale) + np.float32(stage.zero_point))
    return np.int64(min(max(code, np.float32(-2147483648.0)), np.float32(2147483520.0)))


@kernel
def requantize_once(accumulator, channel, stage):
    """The roundings from `DYADIC` on: scaled, rounded, moved by the zero point, clamped; nothing wraps."""
    if stage.rounding == _FLOAT64_EVEN:
        value = requantize_float64_half_even(accumulator, stage.multiplier[channel], stage.shift[channel])
    elif stage.rounding == _FLOAT32_BIAS:
        value = requantize_float32_bias(accumulator, stage.scale[channel], stage.bias[channel])
    elif stage.rounding == _THRESHOLDS:
        value = reached(accumulator, stage.thresholds[channel])
    elif stage.rounding == _FLOAT32_IN_TURN:
        value = requantize_float32_in_turn(accumulator, channel, stage) - np.int64(stage.zero_point)
    else:
        product = np.int64(accumulator) * stage.multiplier[channel]
        value = round_shift_right(product, np.int64(31) - stage.shift[channel], stage.rounding - DYADIC)
    return clamp(value + np.int64(stage.zero_point), np.int64(stage.minimum), np.int64(stage.maximum))


@kernel
def requantize(accumulator, channel, stage):
    """One accumulator through `stage`: scaled, rounded, moved by the zero point, clamped.

    Integer engines add the zero point in int32, which wraps; float ones saturate before.

    "double_half_up_by_8" is LiteRT's optimized depthwise convolution: ties up in whole vectors of 8 channels, the
    channels left over as its reference. Source: TFLite optimized/integer_ops/depthwise_conv.h, neon Quantize.
    """
    if stage.rounding >= DYADIC:
        return requantize_once(accumulator, channel, stage)
    whole_vectors = stage.multiplier.shape[0] // 8 * 8
    if stage.rounding == _DOUBLE or (stage.rounding == _DOUBLE_UP_BY_8 and channel >= whole_vectors):
        value = requantize_tflite_double_rounding(accumulator, stage.multiplier[channel], stage.shift[channel])
    elif stage.rounding in (_DOUBLE_UP, _DOUBLE_UP_BY_8):
        value = requantize_ruy_double_half_up(accumulator, stage.multiplier[channel], stage.shift[channel])
    elif stage.rounding == _SINGLE:
        value = requantize_single_rounding(accumulator, stage.multiplier[channel], stage.shift[channel])
    elif stage.rounding == _FLOAT32:
        value = requantize_float32(accumulator, stage.scale[channel])
    elif stage.rounding == _FLOAT64:
        value = requantize_float64(accumulator, stage.scale[channel])
    elif stage.rounding == _REDUCED:
        value = requantize_reduced_int64(accumulator, stage.multiplier[channel], stage.shift[channel])
    else:
        value = np.int64(accumulator)
    moved = value + np.int64(stage.zero_point)
    if stage.rounding in (_DOUBLE, _DOUBLE_UP, _DOUBLE_UP_BY_8, _SINGLE, _REDUCED):
        moved = wrap_int32(moved)
    return clamp(moved, np.int64(stage.minimum), np.int64(stage.maximum))


@kernel
def requantize_rows(accumulator, stage, out):
    """Every accumulator of (rows, channels) through `stage` into `out`, same shape."""
    for row in range(accumulator.shape[0]):
        for channel in range(accumulator.shape[1]):
            out[row, channel] = requantize(accumulator[row, channel], channel, stage)
