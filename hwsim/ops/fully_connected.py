"""FULLY_CONNECTED: rows (batch, depth), weights (out_channels, depth)."""

from functools import partial
from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.conv2d import Window
from hwsim.kernels.fully_connected import fully_connected, fully_connected_int16_pairs
from hwsim.ops._accumulating import (
    BIAS_TYPE,
    REDUCED_INT64,
    SUMS_INT64,
    Accumulating,
    bias_or_zeros,
    centered_weights,
    check_symmetric,
    has_int4_weights,
    layers_of_others,
    litert_int16,
    micro_int16,
    output_stage,
    raised,
    vectorizable,
)
from hwsim.ops._base import Arrays, Shape, Step, TfliteOptions, rank
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._float import FLOAT, FLOATS
from hwsim.ops._float import fully_connected as float_fully_connected
from hwsim.ops._hybrid import HYBRID, XNNPACK, hybrid, litert_rows
from hwsim.ops._hybrid import fully_connected as hybrid_fully_connected
from hwsim.ops._vector_binary import BinaryLayer
from hwsim.ops._vector_layer import ConvLayer, fits


def _optimized(view: NodeView) -> Rule:
    """LiteRT multiplies the scales of a per-tensor layer in float32, of a per-channel one in float64."""
    format_ = view.input(1).format
    per_channel = format_ is not None and format_.is_per_channel
    return Rule("double_half_up", "float64" if per_channel else "float32_product")


def _optimized_int16(view: NodeView) -> Rule | None:
    """Sums of int32 go through ruy, others through the reference kernel, without a bias only where the option asks."""
    if view.optional(2) is None and view.attributes.get(BIAS_TYPE) != "int64":
        return _optimized(view)
    return litert_int16(_optimized(view), None)(view)


def _xnnpack(view: NodeView) -> Rule | None:
    """XNNPACK leaves int4 rows of an odd length, whose ends share a byte, to LiteRT."""
    odd = has_int4_weights(view) and view.input(1).shape[-1] % 2 == 1
    return None if odd else Rule("float32", "float32")


def _micro(view: NodeView) -> Rule:
    """TFLM takes int4 weights of one scale only."""
    if has_int4_weights(view) and view.input(1).affine.is_per_channel:
        raise UnsupportedError(f"{view.label}: TensorFlow Lite Micro wants one scale for int4 weights; they have many")
    return Rule("double_rounding")


def _cmsis_int16(view: NodeView) -> Rule | None:
    """CMSIS-NN sums in int64. Source: TFLM micro/kernels/cmsis_nn/fully_connected.cc, EvalQuantizedInt16."""
    bias = view.optional(2)
    if bias is not None and bias.dtype != "int64":
        raise UnsupportedError(f"{view.label}: bias is {bias.dtype}; CMSIS-NN reads it as int64")
    return micro_int16(REDUCED_INT64)(view)


class FullyConnected(Accumulating):
    """A fully connected layer; leading axes of the input are rows."""

    name = "fully_connected"
    sources = {"tflite": "FULLY_CONNECTED"}
    options = TfliteOptions(
        "FullyConnectedOptions",
        {
            "activation": "FusedActivationFunction",
            "weights_format": "WeightsFormat",
            "keep_num_dims": "KeepNumDims",
            "asymmetric_quantize_inputs": "AsymmetricQuantizeInputs",
            BIAS_TYPE: "QuantizedBiasType",
        },
    )
    accumulators = ("int16_pairs",)
    rules = {
        "litert-reference": {
            "float32": litert_rows,
            "int8": Rule("float64"),
            "uint8": Rule("float64"),
            "int16": litert_int16(Rule("float64"), Rule("float64", accumulator=SUMS_INT64)),
        },
        "litert-optimized": {"int8": _optimized, "uint8": _optimized, "int16": _optimized_int16},
        "xnnpack": {"float32": hybrid(XNNPACK), "int8": _xnnpack, "uint8": Rule("float32", "float32")},
        "tflite-micro": {
            "int8": _micro,
            "int16": micro_int16(Rule("double_rounding")),
        },
        "cmsis-nn": {"int16": _cmsis_int16},
        "float": FLOATS,
        **layers_of_others(),
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        out_channels, depth = rank(view, 1, 2)
        shape = view.input(0).shape
        if depth == 0 or prod(shape) % depth:
            raise ShapeError(f"{view.label}: input is {list(shape)}; expected rows of {depth}")
        if view.attributes.get("keep_num_dims"):
            if not shape or shape[-1] != depth:
                raise ShapeError(f"{view.label}: input is {list(shape)}; expected its last axis to be {depth}")
            return ((*shape[:-1], out_channels),)
        return ((prod(shape) // depth, out_channels),)

    def macs(self, view: NodeView) -> int:
        return prod(view.output().shape) * view.input(1).shape[1]

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return float_fully_connected(view)
        if rule in HYBRID:
            return hybrid_fully_connected(view, rule)
        out_channels, depth = view.input(1).shape
        check_symmetric(view)
        weights = np.ascontiguousarray(centered_weights(view))
        bias = bias_or_zeros(view, out_channels, rule)
        stage = output_stage(view, rule, out_channels)
        zero_point = view.input(0).zero_point

        pairs = rule.accumulator == "int16_pairs"
        kernel = partial(fully_connected_int16_pairs, raised(view)) if pairs else fully_connected

        def step(inputs: Arrays, outputs: Arrays) -> None:
            rows, out = inputs[0].reshape(-1, depth), outputs[0].reshape(-1, out_channels)
            kernel(rows, weights, bias, zero_point, stage, out)

        def fixed(inputs: Arrays, outputs: Arrays, kind: type[ConvLayer] = ConvLayer) -> Fixed | None:
            if not fits(inputs[0], outputs[0]):
                return None
            images, out = inputs[0].reshape(1, -1, 1, depth), outputs[0].reshape(1, -1, 1, out_channels)
            taps, signed = weights.reshape(out_channels, 1, 1, depth), view.input(0).dtype == "int8"
            frame = Window(1, 1, 1, 1, 1, 1, 0, 0)
            return kind(frame, taps, bias, stage, zero_point, signed, images.shape[1], 1).fix(images, out)

        return FixableStep(step, fixed, partial(fixed, kind=BinaryLayer)) if vectorizable(rule) else step


OP = FullyConnected()
