"""TRANSPOSE_CONV: images (batch, height, width, channels), weights (out_channels, height, width, channels)."""

from dataclasses import replace
from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.conv2d import Window
from hwsim.kernels.requantize import requantize_rows
from hwsim.kernels.transpose_conv import transpose_conv
from hwsim.ops._accumulating import (
    ACCUMULATOR,
    BIAS_TYPE,
    REDUCED_INT64,
    Accumulating,
    bias_or_zeros,
    centered_weights,
    check_symmetric,
    litert_int16,
    output_stage,
)
from hwsim.ops._base import Arrays, Shape, Step, TfliteOptions, merge_batch, rank
from hwsim.ops._moves import integers
from hwsim.ops._vectors import Compute, body_and_tail
from hwsim.ops._window import output_size

VECTOR = 16


def _micro_int16(view: NodeView) -> Rule:
    """TFLM sums in int64 whatever the bias is."""
    bias = view.optional(3)
    if bias is not None and bias.dtype != "int64":
        raise UnsupportedError(f"{view.label}: bias is {bias.dtype}; TensorFlow Lite Micro reads it as int64")
    return REDUCED_INT64


def _xnnpack(view: NodeView) -> Rule | None:
    """With padding, XNNPACK takes filters that are no smaller than the stride along both axes."""
    _, height, width, _ = view.input(1).shape
    small = height < view.integer("stride_h") or width < view.integer("stride_w")
    return None if view.text("padding") == "same" and small else Rule("float32", "float32")


class TransposeConv(Accumulating):
    """The gradient of a convolution; input 0 is the output's shape, constant or as the file declares it.

    Source: LiteRT tflite/kernels/transpose_conv.cc; TFLM micro/kernels/transpose_conv.cc.
    """

    name = "transpose_conv"
    sources = {"tflite": "TRANSPOSE_CONV"}
    options = TfliteOptions(
        "TransposeConvOptions",
        {
            "padding": "Padding",
            "stride_h": "StrideH",
            "stride_w": "StrideW",
            "activation": "FusedActivationFunction",
            BIAS_TYPE: "QuantizedBiasType",
        },
    )
    rules = {
        "litert-reference": {
            "int8": Rule("double_rounding"),
            "uint8": Rule("double_rounding", "float32_product"),
            "int16": litert_int16(Rule("double_rounding")),
        },
        "litert-optimized": {
            "int8": Rule("double_half_up_by_8"),
            "uint8": Rule("double_half_up_vectors", "float32_product"),
            "int16": litert_int16(Rule("double_half_up_by_8"), None),
        },
        "xnnpack": {"int8": _xnnpack, "uint8": _xnnpack},
        "tflite-micro": {"int8": Rule("double_rounding"), "int16": _micro_int16},
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, height, width, channels = rank(view, 2, 4)
        out_channels, *_, depth = rank(view, 1, 4)
        shape = integers(view, 0, 4, "output shape") if view.input(0).is_constant else view.output().shape
        if len(shape) != 4 or (shape[0], shape[3], depth) != (batch, out_channels, channels):
            raise ShapeError(
                f"{view.label}: output shape {list(shape)}, weights {list(view.input(1).shape)} and input "
                f"{[batch, height, width, channels]} do not fit"
            )
        transposed_window(view, shape)
        return (shape,)

    def macs(self, view: NodeView) -> int:
        return prod(view.input(2).shape) * prod(view.input(1).shape[:3])

    def bind(self, view: NodeView, rule: Rule) -> Step:
        check_symmetric(view)
        weights = centered_weights(view)
        out_channels = weights.shape[0]
        bias, stage = bias_or_zeros(view, out_channels, rule), output_stage(view, rule, out_channels)
        frame, zero_point = transposed_window(view, self.infer_shapes(view)[0]), view.input(2).zero_point
        vectors = _vectors(view, rule) if rule.algorithm.endswith("_vectors") else None
        summed = output_stage(view, ACCUMULATOR, out_channels) if vectors else stage

        def step(inputs: Arrays, outputs: Arrays) -> None:
            out = np.empty(outputs[0].shape, np.int32) if vectors else outputs[0]
            transpose_conv(merge_batch(inputs[2]), weights, bias, zero_point, frame, summed, merge_batch(out))
            if vectors:
                samples = out.shape[0]
                vectors(out.reshape(samples, -1), outputs[0].reshape(samples, -1))

        return step


def _vectors(view: NodeView, rule: Rule) -> Compute:
    """LiteRT rounds ties up in whole vectors of 16 sums, and what is left over as its reference. One scale for all."""

    def rounded(algorithm: str) -> Compute:
        stage = output_stage(view, replace(rule, algorithm=algorithm), 1)
        return lambda sums, out: requantize_rows(sums.reshape(-1, 1), stage, out.reshape(-1, 1))

    size = prod(view.output().shape)
    return body_and_tail(size, VECTOR, rounded("double_half_up"), rounded("double_rounding"))


def transposed_window(view: NodeView, shape: Shape) -> Window:
    """The window of the convolution that leads from the output back to the input."""
    _, height, width, _ = view.input(1).shape
    strides, padding = (view.integer("stride_h"), view.integer("stride_w")), view.text("padding")
    if min(strides) < 1:
        raise ShapeError(f"{view.label}: stride is {strides[0]}x{strides[1]}; each must be at least 1")
    if padding not in ("same", "valid"):
        raise ShapeError(f"{view.label}: padding is {padding!r}; expected 'same' or 'valid'")
    top, left = (output_size(shape[1 + i], (height, width)[i], strides[i], 1, padding)[1] for i in (0, 1))
    return Window(height, width, *strides, 1, 1, top, left)


OP = TransposeConv()
