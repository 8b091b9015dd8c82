"""Dynamic-range layers: float32 activations, int8 weights. Engines quantize the activations while they run, sum
integers and scale the sums back to float32.

Source: LiteRT tflite/kernels/internal/reference/portable_tensor_utils.cc, tflite/kernels/fully_connected.cc
(EvalHybrid), tflite/kernels/conv.cc; google/XNNPACK src/qd8-f32-qc8w-gemm, src/xnnpack/quantization.h.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import UnsupportedError
from hwsim.graph import Affine, NodeView
from hwsim.ops._base import Arrays, RuleFor, Step, merge_batch
from hwsim.ops._float import Reals, activation, float_bias, taps
from hwsim.ops._window import window

Codes = NDArray[np.float64]

SYMMETRIC, ASYMMETRIC = Rule("hybrid_symmetric"), Rule("hybrid_asymmetric")
WEIGHTS_FIRST, WEIGHTS_FIRST_BY_4 = Rule("hybrid_weights_first"), Rule("hybrid_weights_first_by_4")
XNNPACK = Rule("hybrid_fused")
HYBRID = (SYMMETRIC, ASYMMETRIC, WEIGHTS_FIRST, WEIGHTS_FIRST_BY_4, XNNPACK)
"""How activations are quantized and sums scaled: LiteRT's layers by the product of both scales, or by that of the
weights and then that of the activations, the other way round for channels left over from vectors of 4; XNNPACK adds the
bias before it rounds the product.
"""

VECTOR = 4


def hybrid(rule: Rule) -> RuleFor:
    """`rule` where the weights are int8 with zero point 0, nothing otherwise."""
    return lambda view: rule if _is_hybrid(view) else None


def litert_rows(view: NodeView) -> Rule | None:
    """LiteRT's FULLY_CONNECTED, which an option makes quantize with a zero point."""
    rule = ASYMMETRIC if view.attributes.get("asymmetric_quantize_inputs") else SYMMETRIC
    return rule if _is_hybrid(view) else None


def per_channel(rule: Rule, grouped: Rule | None = None) -> RuleFor:
    """LiteRT's convolutions with a scale for each channel; `grouped` is for CONV_2D with groups.

    With a single scale DEPTHWISE_CONV_2D reads beyond it, and CONV_2D does not load, or takes a way that is not known
    here in files of older converters.
    """

    def choose(view: NodeView) -> Rule | None:
        weights = view.input(1)
        if not _is_hybrid(view):
            return None
        if weights.affine.scale.size != view.output().shape[-1]:
            raise UnsupportedError(
                f"{view.label}: weights have {weights.affine.scale.size} scales under float32 activations; hwsim "
                f"runs LiteRT's layers with {view.output().shape[-1]}, one per channel"
            )
        groups = view.input(0).shape[-1] != weights.shape[-1]
        return grouped if grouped is not None and groups else rule

    return choose


def _is_hybrid(view: NodeView) -> bool:
    form = view.input(1).format
    return (
        view.input(1).dtype == "int8" and isinstance(form, Affine) and form.bits is None and not form.zero_point.any()
    )


def fully_connected(view: NodeView, rule: Rule) -> Step:
    """Every row with a scale of its own."""
    out_channels, depth = view.input(1).shape
    weights = np.ascontiguousarray(view.constant(1).T, np.float64)
    scale, bias, limit = _scale(view), float_bias(view, out_channels), activation(view)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        out = outputs[0].reshape(-1, out_channels)
        codes, steps = quantized(inputs[0].reshape(-1, depth), rule)
        out[...] = _scaled(codes @ weights, steps[:, None], scale, bias, rule)
        limit(out)

    return step


def conv2d(view: NodeView, rule: Rule) -> Step:
    """Every image with a scale of its own, under XNNPACK every pixel where the filter is one; outside are zeros."""
    out_channels, height, width, depth = view.input(1).shape
    groups = view.input(0).shape[3] // depth
    filters = view.constant(1).reshape(groups, out_channels // groups, height * width, depth).astype(np.float64)
    scale, bias, limit = _scale(view), float_bias(view, out_channels), activation(view)
    place = window(view, height, width)
    single = (height, width, *place[0][2:4], groups) == (1, 1, 1, 1, 1) and rule == XNNPACK

    def step(inputs: Arrays, outputs: Arrays) -> None:
        images, out = merge_batch(inputs[0]), merge_batch(outputs[0])
        codes, steps = quantized(images.reshape(-1, depth) if single else images.reshape(len(images), -1), rule)
        sums: Codes = np.zeros((*out.shape[:3], groups, out_channels // groups))
        for tap, part in enumerate(taps(codes.reshape(images.shape), place, 0.0)):
            sums += np.einsum("nhwgd,gcd->nhwgc", part.reshape(*part.shape[:3], groups, depth), filters[:, :, tap])
        steps = steps.reshape(*out.shape[:3], 1) if single else steps[:, None, None, None]
        out[...] = _scaled(sums.reshape(out.shape), steps, scale, bias, rule)
        limit(out)

    return step


def depthwise_conv2d(view: NodeView, rule: Rule) -> Step:
    """Every image with a scale of its own, every channel with its own filters."""
    _, height, width, out_channels = view.input(1).shape
    multiplier = out_channels // view.input(0).shape[3]
    filters = view.constant(1).reshape(height * width, out_channels).astype(np.float64)
    scale, bias, limit = _scale(view), float_bias(view, out_channels), activation(view)
    place = window(view, height, width)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        images, out = merge_batch(inputs[0]), merge_batch(outputs[0])
        codes, steps = quantized(images.reshape(len(images), -1), rule)
        sums: Codes = np.zeros(out.shape)
        for tap, part in zip(filters, taps(codes.reshape(images.shape), place, 0.0), strict=True):
            sums += tap * np.repeat(part, multiplier, axis=3)
        out[...] = _scaled(sums, steps[:, None, None, None], scale, bias, rule)
        limit(out)

    return step


def quantized(rows: Reals, rule: Rule) -> tuple[Codes, Reals]:
    """int8 codes less their zero point, and the real value of one step, for each row of (rows, values)."""
    low, high = rows.min(axis=1, initial=0.0), rows.max(axis=1, initial=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if rule == XNNPACK:
            return _xnnpack(rows, low, high)
        return _symmetric(rows, low, high) if rule == SYMMETRIC else _asymmetric(rows, low, high)


def _symmetric(rows: Reals, low: Reals, high: Reals) -> tuple[Codes, Reals]:
    reach, top = np.maximum(-low, high), np.float32(127.0)
    nothing = reach == 0
    codes = np.clip(_half_away(rows * (top / reach)[:, None]), -127, 127)
    return np.where(nothing[:, None], 0.0, codes), np.where(nothing, np.float32(1.0), reach / top)


def _asymmetric(rows: Reals, low: Reals, high: Reals) -> tuple[Codes, Reals]:
    nothing, least, most = low == high, np.float32(-128.0), np.float32(127.0)
    step = (high - low) / np.float32(255.0)
    nearer = np.float32(128.0) + np.abs(low / step) < np.float32(127.0) + np.abs(high / step)
    point = np.where(nearer, least - low / step, most - high / step)
    zero = np.clip(_half_away(point), -128, 127)[:, None]
    inverse = np.float32(1.0) / step
    codes = np.clip(_half_away(zero.astype(np.float32) + rows * inverse[:, None]), -128, 127) - zero
    return np.where(nothing[:, None], 0.0, codes), np.where(nothing, np.float32(1.0), step)


def _xnnpack(rows: Reals, low: Reals, high: Reals) -> tuple[Codes, Reals]:
    """In float32, ties to even."""
    scale = np.where(low == high, np.float32(1.0), np.float32(255.0) / (high - low)).astype(np.float32)
    least, most = np.float32(-128.0), np.float32(127.0)
    nearer = (least + low * scale) + (most + high * scale) > 0
    point = np.where(nearer, least - low * scale, most - high * scale)
    zero = np.rint(np.clip(point, least, most)).astype(np.float64)[:, None]
    codes = np.clip(np.rint((rows * scale[:, None]).astype(np.float64)) + zero, -128, 127) - zero
    return codes, np.float32(1.0) / scale


def _half_away(values: NDArray[Any]) -> Codes:
    wide = values.astype(np.float64)
    return np.trunc(wide + np.copysign(0.5, wide))


def _scaled(sums: Codes, steps: Reals, scale: Reals, bias: Reals, rule: Rule) -> NDArray[Any]:
    """Sums (..., channels) as real values, rounded where the engine rounds."""
    real = sums.astype(np.float32)
    if rule == XNNPACK:
        return (real * steps).astype(np.float64) * scale + bias
    if rule in (SYMMETRIC, ASYMMETRIC):
        return real * (steps * scale) + bias
    vectors = scale.size if rule == WEIGHTS_FIRST else scale.size - scale.size % VECTOR
    return np.where(np.arange(scale.size) < vectors, (real * scale) * steps, (real * steps) * scale) + bias


def _scale(view: NodeView) -> Reals:
    scale: Reals = view.input(1).affine.scale
    return scale if scale.size > 1 else np.full(prod(view.output().shape[-1:]), scale[0])
