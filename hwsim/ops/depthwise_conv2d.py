"""DEPTHWISE_CONV_2D: images (batch, height, width, channels), weights (1, height, width, channels * multiplier)."""

from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.conv2d import conv2d_int16_pairs
from hwsim.kernels.depthwise_conv2d import depthwise_conv2d
from hwsim.ops._accumulating import (
    Accumulating,
    bias_or_zeros,
    centered_weights,
    check_symmetric,
    has_int4_weights,
    int8_weights,
    layers_of_others,
    litert_int16,
    micro_int16,
    output_stage,
    raised,
    vectorizable,
)
from hwsim.ops._base import Arrays, Shape, Step, TfliteOptions, merge_batch, rank
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._float import FLOAT, FLOATS
from hwsim.ops._float import depthwise_conv2d as float_depthwise_conv2d
from hwsim.ops._hybrid import ASYMMETRIC, HYBRID, WEIGHTS_FIRST_BY_4, per_channel
from hwsim.ops._hybrid import depthwise_conv2d as hybrid_depthwise_conv2d
from hwsim.ops._vector_depthwise import DepthwiseLayer
from hwsim.ops._vector_layer import fits
from hwsim.ops._window import window


def _int16(view: NodeView) -> Rule | None:
    """LiteRT sums in int64, and takes int4 weights without unpacking them."""
    if has_int4_weights(view):
        raise UnsupportedError(f"{view.label}: LiteRT does not unpack int4 weights under int16 activations")
    return litert_int16(None)(view)


def _micro_int16(view: NodeView) -> Rule | None:
    """TFLM sums in int64; without a bias it crashes."""
    bias = view.optional(2)
    if bias is None or bias.dtype != "int64":
        found = "no bias" if bias is None else f"an {bias.dtype} bias"
        raise UnsupportedError(f"{view.label}: has {found}; TensorFlow Lite Micro wants int64 under int16 activations")
    return micro_int16(Rule("double_rounding"))(view)


class DepthwiseConv2d(Accumulating):
    """Depthwise convolution; the multiplier follows from the shapes, as in TFLite."""

    name = "depthwise_conv2d"
    sources = {"tflite": "DEPTHWISE_CONV_2D"}
    options = TfliteOptions(
        "DepthwiseConv2DOptions",
        {
            "padding": "Padding",
            "stride_h": "StrideH",
            "stride_w": "StrideW",
            "depth_multiplier": "DepthMultiplier",
            "dilation_h": "DilationHFactor",
            "dilation_w": "DilationWFactor",
            "activation": "FusedActivationFunction",
        },
    )
    accumulators = ("int16_pairs",)
    rules = {
        "litert-reference": {
            "float32": per_channel(ASYMMETRIC),
            "int8": Rule("double_rounding"),
            "uint8": Rule("double_rounding", "float32_product"),
            "int16": _int16,
        },
        "litert-optimized": {"int8": Rule("double_half_up_by_8"), "float32": per_channel(WEIGHTS_FIRST_BY_4)},
        "xnnpack": {"int8": int8_weights(Rule("float32", "float32")), "uint8": Rule("float32", "float32")},
        "tflite-micro": {"int8": Rule("double_rounding"), "int16": _micro_int16},
        "float": FLOATS,
        **layers_of_others(),
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, _, _, channels = rank(view, 0, 4)
        one, height, width, out_channels = rank(view, 1, 4)
        if one != 1 or channels == 0 or out_channels % channels:
            raise ShapeError(
                f"{view.label}: weights are {list(view.input(1).shape)}; "
                f"expected (1, height, width, a multiple of {channels})"
            )
        _, out_height, out_width = window(view, height, width)
        return ((batch, out_height, out_width, out_channels),)

    def macs(self, view: NodeView) -> int:
        return prod(view.output().shape) * prod(view.input(1).shape[1:3])

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return float_depthwise_conv2d(view)
        if rule in HYBRID:
            return hybrid_depthwise_conv2d(view, rule)
        _, height, width, out_channels = view.input(1).shape
        check_symmetric(view)
        weights = centered_weights(view)[0]
        bias = bias_or_zeros(view, out_channels, rule)
        stage = output_stage(view, rule, out_channels)
        frame, *out_size = window(view, height, width)
        zero_point = view.input(0).zero_point

        if rule.accumulator == "int16_pairs":
            channels = view.input(0).shape[3]
            grouped = np.ascontiguousarray(weights.reshape(-1, channels, out_channels // channels).transpose(1, 2, 0))
            raise_by = raised(view)

            def in_pairs(inputs: Arrays, outputs: Arrays) -> None:
                images, out = merge_batch(inputs[0]), merge_batch(outputs[0])
                conv2d_int16_pairs(raise_by, images, grouped, bias, zero_point, frame, stage, out)

            return in_pairs

        def step(inputs: Arrays, outputs: Arrays) -> None:
            depthwise_conv2d(merge_batch(inputs[0]), weights, bias, zero_point, frame, stage, merge_batch(outputs[0]))

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if out_channels != inputs[0].shape[-1] or not fits(inputs[0], outputs[0]):
                return None
            layer = DepthwiseLayer(frame, weights, bias, stage, zero_point, view.input(0).dtype == "int8", *out_size)
            return layer.fix(merge_batch(inputs[0]), merge_batch(outputs[0]))

        return FixableStep(step, fixed) if vectorizable(rule) else step


OP = DepthwiseConv2d()
