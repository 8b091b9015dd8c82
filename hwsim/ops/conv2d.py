"""CONV_2D: images (batch, height, width, channels), weights (out_channels, height, width, channels / groups)."""

from functools import partial
from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.kernels.conv2d import conv2d, conv2d_int16_pairs
from hwsim.ops._accumulating import (
    BIAS_TYPE,
    Accumulating,
    bias_or_zeros,
    centered_weights,
    check_symmetric,
    int8_weights,
    layers_of_others,
    litert_int16,
    micro_int16,
    output_stage,
    raised,
    vectorizable,
)
from hwsim.ops._base import Arrays, RuleFor, Shape, Step, TfliteOptions, merge_batch, rank
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._float import FLOAT, FLOATS
from hwsim.ops._float import conv2d as float_conv2d
from hwsim.ops._hybrid import ASYMMETRIC, HYBRID, WEIGHTS_FIRST, XNNPACK, hybrid, per_channel
from hwsim.ops._hybrid import conv2d as hybrid_conv2d
from hwsim.ops._vector_binary import BinaryLayer
from hwsim.ops._vector_layer import ConvLayer, fits
from hwsim.ops._window import window

MICRO = Rule("double_rounding")


def _groups(view: NodeView) -> int:
    return view.input(0).shape[3] // view.input(1).shape[3]


def _ungrouped(rule: Rule) -> RuleFor:
    """LiteRT's optimized convolution leaves grouped ones to the reference kernel."""
    return lambda view: rule if _groups(view) == 1 else None


def _optimized_int16(view: NodeView) -> Rule | None:
    rule = litert_int16(Rule("double_half_up"), None)(view)
    return rule if _groups(view) == 1 else None


def _cmsis_int16(view: NodeView) -> Rule | None:
    """Without a bias, CMSIS-NN sums in int32. Source: TFLM micro/kernels/cmsis_nn/conv.cc, EvalInt16x8."""
    rule = micro_int16(MICRO)(view)
    return MICRO if view.optional(2) is None else rule


class Conv2d(Accumulating):
    """Convolution with groups, strides, dilation and a fused activation."""

    name = "conv2d"
    sources = {"tflite": "CONV_2D"}
    options = TfliteOptions(
        "Conv2DOptions",
        {
            "padding": "Padding",
            "stride_h": "StrideH",
            "stride_w": "StrideW",
            "dilation_h": "DilationHFactor",
            "dilation_w": "DilationWFactor",
            "activation": "FusedActivationFunction",
            BIAS_TYPE: "QuantizedBiasType",
        },
    )
    accumulators = ("int16_pairs",)
    rules = {
        "litert-reference": {
            "float32": per_channel(WEIGHTS_FIRST),
            "int8": Rule("double_rounding"),
            "uint8": Rule("double_rounding", "float32_product"),
            "int16": litert_int16(Rule("double_rounding")),
        },
        "litert-optimized": {
            "float32": per_channel(ASYMMETRIC, grouped=WEIGHTS_FIRST),
            "int8": _ungrouped(Rule("double_half_up")),
            "uint8": _ungrouped(Rule("double_half_up", "float32_product")),
            "int16": _optimized_int16,
        },
        "xnnpack": {
            "float32": hybrid(XNNPACK),
            "int8": int8_weights(Rule("float32", "float32")),
            "uint8": Rule("float32", "float32"),
        },
        "tflite-micro": {"int8": MICRO, "int16": micro_int16(MICRO)},
        "cmsis-nn": {"int16": _cmsis_int16},
        "float": FLOATS,
        **layers_of_others(),
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, _, _, channels = rank(view, 0, 4)
        out_channels, height, width, group_channels = rank(view, 1, 4)
        if group_channels == 0 or channels % group_channels or out_channels % (channels // group_channels):
            raise ShapeError(
                f"{view.label}: {channels} input channels, filters of {group_channels}, {out_channels} output channels "
                "do not split into groups"
            )
        _, out_height, out_width = window(view, height, width)
        return ((batch, out_height, out_width, out_channels),)

    def macs(self, view: NodeView) -> int:
        return prod(view.output().shape) * prod(view.input(1).shape[1:])

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return float_conv2d(view)
        if rule in HYBRID:
            return hybrid_conv2d(view, rule)
        out_channels, height, width, _ = view.input(1).shape
        check_symmetric(view)
        groups = _groups(view)
        weights = np.ascontiguousarray(centered_weights(view).reshape(groups, out_channels // groups, -1))
        bias = bias_or_zeros(view, out_channels, rule)
        stage = output_stage(view, rule, out_channels)
        frame, *out_size = window(view, height, width)
        zero_point = view.input(0).zero_point

        pairs = rule.accumulator == "int16_pairs"
        kernel = partial(conv2d_int16_pairs, raised(view)) if pairs else conv2d

        def step(inputs: Arrays, outputs: Arrays) -> None:
            kernel(merge_batch(inputs[0]), weights, bias, zero_point, frame, stage, merge_batch(outputs[0]))

        def fixed(inputs: Arrays, outputs: Arrays, kind: type[ConvLayer] = ConvLayer) -> Fixed | None:
            if groups > 1 or not fits(inputs[0], outputs[0]):
                return None
            taps = weights.reshape(out_channels, height, width, -1)
            layer = kind(frame, taps, bias, stage, zero_point, view.input(0).dtype == "int8", *out_size)
            return layer.fix(merge_batch(inputs[0]), merge_batch(outputs[0]))

        return FixableStep(step, fixed, partial(fixed, kind=BinaryLayer)) if vectorizable(rule) else step


OP = Conv2d()
