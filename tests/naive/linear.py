"""Convolutions and fully connected layers: int32 accumulators, then the output stage."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import rounding
from .rounding import clamp, quantize_multiplier, wrap

Array = np.ndarray[Any, np.dtype[Any]]
Padding = str | Sequence[tuple[int, int]]


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int, int]:
    """Padding before, padding after and output size of SAME along one axis.

    Source: TFLite kernels/padding.h, ComputePaddingHeightWidth; the odd one goes after.
    """
    out = math.ceil(size / stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2, out


def window(padding: Padding, axis: int, size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding before and output size along one axis; padding 'same', 'valid' or two pairs."""
    if padding == "same":
        before, _, out = same_padding(size, kernel, stride, dilation)
        return before, out
    before, after = (0, 0) if isinstance(padding, str) else padding[axis]  # 'valid' pads nothing
    return before, (size + before + after - (kernel - 1) * dilation - 1) // stride + 1


def conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    input_zero_point: int = 0,
    weight_zero_point: int = 0,
    groups: int = 1,
    accumulator_bits: int = 32,
) -> Array:
    """Accumulators of CONV_2D; w is (out_channels, height, width, in_channels / groups).

    Source: TFLite reference/integer_ops/conv.h, ConvPerChannel; reference/conv.h (uint8). Taps
    outside the image are skipped. The sum wraps at `accumulator_bits`.
    """
    batches, in_h, in_w, in_c = x.shape
    out_c, k_h, k_w, group_c = w.shape
    assert in_c == group_c * groups
    top, out_h = window(padding, 0, in_h, k_h, stride[0], dilation[0])
    left, out_w = window(padding, 1, in_w, k_w, stride[1], dilation[1])
    image, taps = x.tolist(), w.tolist()
    out = np.zeros((batches, out_h, out_w, out_c), _accumulator_dtype(accumulator_bits))
    for b, y, z, oc in np.ndindex(*out.shape):
        first = oc // (out_c // groups) * group_c
        acc = 0 if bias is None else int(bias[oc])
        for i in range(k_h):
            for j in range(k_w):
                row = y * stride[0] - top + i * dilation[0]
                column = z * stride[1] - left + j * dilation[1]
                if not (0 <= row < in_h and 0 <= column < in_w):
                    continue
                pixel = image[b][row][column]
                for c in range(group_c):
                    value = pixel[first + c] - input_zero_point
                    acc += value * (taps[oc][i][j][c] - weight_zero_point)
        out[b, y, z, oc] = wrap(acc, accumulator_bits)
    return out


def depthwise_conv2d(
    x: Array,
    w: Array,
    bias: Array | None,
    *,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    input_zero_point: int = 0,
    weight_zero_point: int = 0,
    accumulator_bits: int = 32,
) -> Array:
    """Accumulators of DEPTHWISE_CONV_2D; w is (1, height, width, in_channels * multiplier).

    Source: TFLite reference/integer_ops/depthwise_conv.h. Output channel = input * multiplier + m.
    """
    batches, in_h, in_w, in_c = x.shape
    _, k_h, k_w, out_c = w.shape
    top, out_h = window(padding, 0, in_h, k_h, stride[0], dilation[0])
    left, out_w = window(padding, 1, in_w, k_w, stride[1], dilation[1])
    image, taps = x.tolist(), w[0].tolist()
    out = np.zeros((batches, out_h, out_w, out_c), _accumulator_dtype(accumulator_bits))
    for b, y, z, oc in np.ndindex(*out.shape):
        ic = oc // (out_c // in_c)
        acc = 0 if bias is None else int(bias[oc])
        for i in range(k_h):
            for j in range(k_w):
                row = y * stride[0] - top + i * dilation[0]
                column = z * stride[1] - left + j * dilation[1]
                if 0 <= row < in_h and 0 <= column < in_w:
                    value = image[b][row][column][ic] - input_zero_point
                    acc += value * (taps[i][j][oc] - weight_zero_point)
        out[b, y, z, oc] = wrap(acc, accumulator_bits)
    return out


def fully_connected(
    x: Array,
    w: Array,
    bias: Array | None,
    *,
    input_zero_point: int = 0,
    weight_zero_point: int = 0,
    accumulator_bits: int = 32,
) -> Array:
    """Accumulators of FULLY_CONNECTED; x is (rows, depth), w is (out_channels, depth).

    Source: TFLite reference/integer_ops/fully_connected.h.
    """
    out = np.zeros((x.shape[0], w.shape[0]), _accumulator_dtype(accumulator_bits))
    for row, values in enumerate(x.tolist()):
        for oc, taps in enumerate(w.tolist()):
            acc = 0 if bias is None else int(bias[oc])
            for value, tap in zip(values, taps, strict=True):
                acc += (value - input_zero_point) * (tap - weight_zero_point)
            out[row, oc] = wrap(acc, accumulator_bits)
    return out


def transpose_conv(
    x: Array,
    w: Array,
    bias: Array | None,
    size: tuple[int, int],
    *,
    stride: tuple[int, int],
    padding: str,
    input_zero_point: int = 0,
    weight_zero_point: int = 0,
    accumulator_bits: int = 32,
) -> Array:
    """Accumulators of TRANSPOSE_CONV to `size` (height, width); w is (out_channels, height, width, in_channels).

    Source: TFLite reference/integer_ops/transpose_conv.h: every input pixel is scattered; what falls outside is lost.
    """
    batches, out_c, (k_h, k_w) = x.shape[0], w.shape[0], w.shape[1:3]
    top, left = (window(padding, a, size[a], w.shape[1 + a], stride[a])[0] for a in (0, 1))
    total = [[[[0 if bias is None else int(v) for v in (bias if bias is not None else range(out_c))]
               for _ in range(size[1])] for _ in range(size[0])] for _ in range(batches)]  # fmt: skip
    for b, i, j, c in np.ndindex(*x.shape):
        value = int(x[b, i, j, c]) - input_zero_point
        for oc, ky, kx in np.ndindex(out_c, k_h, k_w):
            row, column = i * stride[0] - top + ky, j * stride[1] - left + kx
            if 0 <= row < size[0] and 0 <= column < size[1]:
                total[b][row][column][oc] += value * (int(w[oc, ky, kx, c]) - weight_zero_point)
    out = np.zeros((batches, *size, out_c), _accumulator_dtype(accumulator_bits))
    for b, y, z, oc in np.ndindex(*out.shape):
        out[b, y, z, oc] = wrap(total[b][y][z][oc], accumulator_bits)
    return out


def batch_matmul(
    first: Array, second: Array, zero_points: tuple[int, int], adjoint: tuple[bool, bool], accumulator_bits: int = 32
) -> Array:
    """Accumulators of BATCH_MATMUL. Source: TFLite reference/batch_matmul.h."""
    rows, depth = first.shape[-2:][:: -1 if adjoint[0] else 1]
    columns = second.shape[-2:][:: -1 if adjoint[1] else 1][1]
    leading = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    out = np.zeros((*leading, rows, columns), _accumulator_dtype(accumulator_bits))
    for index in np.ndindex(*out.shape):
        *outer, i, j = index
        a, b = (
            m[tuple(0 if n == 1 else p for p, n in zip(outer[len(outer) + 2 - m.ndim :], m.shape, strict=False))]
            for m in (first, second)
        )
        total = 0
        for k in range(depth):
            left = int(a[k, i] if adjoint[0] else a[i, k]) - zero_points[0]
            total += left * (int(b[j, k] if adjoint[1] else b[k, j]) - zero_points[1])
        out[index] = wrap(total, accumulator_bits)
    return out


def output_stage(
    acc: Array,
    rule: str,
    scales: Sequence[float],
    zero_point: int,
    lo: int,
    hi: int,
    dtype: Any = np.int8,
) -> Array:
    """Requantize accumulators to codes: rule, then the zero point, then the clamp.

    `rule` is 'double_rounding', 'double_half_up', 'single_rounding', 'reduced_int64', 'float32',
    'float64', or 'optimized_depthwise': TFLite optimized_ops.h Quantize, which rounds half up in
    whole vectors of 8 channels and uses 'double_rounding' for the channels left over. `scales` holds
    one value, or one per channel of the last axis. The integer rules turn each scale into a
    multiplier with `quantize_multiplier`.
    """
    channels = acc.shape[-1]
    rules = [rule] * channels
    if rule == "optimized_depthwise":
        whole = channels // 8 * 8
        rules = ["double_half_up"] * whole + ["double_rounding"] * (channels - whole)
    steps = [_requantizer(rules[c], scales[c % len(scales)]) for c in range(channels)]
    out = np.zeros(acc.shape, dtype)
    for index in np.ndindex(*acc.shape):
        code = steps[index[-1]](int(acc[index])) + zero_point
        wide = rule.startswith(("float", "dyadic"))
        out[index] = clamp(code if wide else wrap(code), lo, hi)
    return out


def _requantizer(rule: str, scale: float) -> Callable[[int], int]:
    if rule in ("float32", "float64"):
        function = getattr(rounding, rule)
        return lambda acc: int(function(acc, scale))
    multiplier, shift = quantize_multiplier(scale)
    functions: dict[str, Callable[[int, int, int], int]] = {
        "double_rounding": rounding.double_rounding,
        "double_half_up": rounding.double_half_up,
        "single_rounding": rounding.single_rounding,
        "reduced_int64": rounding.reduced_int64,
        "float64_half_even": rounding.float64_half_even,
    } | {f"dyadic_{mode}": partial(rounding.dyadic, mode) for mode in ("floor", "half_away", "half_even", "truncate")}
    chosen = functions[rule]
    return lambda acc: chosen(acc, multiplier, shift)


def _accumulator_dtype(bits: int) -> Any:
    return {32: np.int32, 64: np.int64}[bits]
