"""MUL: the product of two quantized tensors, broadcast against each other."""

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.mul import MulParams, mul_tflite, mul_tflite_simd, mul_xnnpack
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.ops._elementwise import broadcast_shape, sample_rows
from hwsim.ops._float import FLOAT, FLOATS, binary
from hwsim.ops._rescaled import PRODUCTS, rescaled_product
from hwsim.quantizers.multiplier import activation_bounds, quantize_multiplier

VECTORS = {"int8": 16, "uint8": 8}
"""Elements that LiteRT's vector loop takes at a time."""


def _xnnpack(view: NodeView) -> Rule | None:
    """XNNPACK takes a product whose scale is in [2^-16, 2^8)."""
    return Rule("xnnpack", "float32") if 2.0**-16 <= _scale(view, "float32") < 2.0**8 else None


class Mul(Op):
    """Multiplication of two tensors with a fused activation."""

    name = "mul"
    sources = {"tflite": "MUL"}
    options = TfliteOptions("MulOptions", {"activation": "FusedActivationFunction"})
    rules = {
        "litert-reference": {"int8": Rule("tflite", "float32"), "uint8": Rule("tflite", "float32")},
        "litert-optimized": {"int8": Rule("tflite_simd", "float32"), "uint8": Rule("tflite_simd", "float32")},
        "xnnpack": {"int8": _xnnpack, "uint8": _xnnpack},
        "tflite-micro": {"int8": Rule("tflite")},
        "float": FLOATS,
        "onnxruntime": dict.fromkeys(VECTORS, Rule("zero_point_inside", "float32")),
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return binary(view, np.multiply)
        if rule.algorithm in PRODUCTS:
            return rescaled_product(view, rule)
        known = {"tflite": mul_tflite, "tflite_simd": mul_tflite_simd, "xnnpack": mul_xnnpack}
        if rule.algorithm not in known:
            raise no_rule(view, rule)
        kernel, params, shape = known[rule.algorithm], _params(view, rule), view.output().shape
        vector = _vector(view) if rule.algorithm == "tflite_simd" else ()

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            kernel(first, second, params, *vector, outputs[0].reshape(outputs[0].shape[0], -1))

        return step


def _vector(view: NodeView) -> tuple[int, int, bool]:
    """How many elements LiteRT computes at a time, how many of them in its vector body, and whether that saturates.

    Source: TFLite internal/reference/process_broadcast_shapes.h, ProcessBroadcastShapes; optimized/optimized_ops.h,
    BinaryBroadcastFiveFold. That uint8 does not saturate against a single code was measured (ai-edge-litert 2.3.0).
    """
    folds = _folds(view.input(0).shape, view.input(1).shape)
    run = folds[0] if folds[0] > 1 else folds[1]
    dtype = view.output().dtype
    return run, run - run % VECTORS[dtype], dtype == "int8" or folds[0] > 1


def _folds(first: Shape, second: Shape) -> list[int]:
    """The innermost axes as five loops: equal, of the first only, equal, of the second only, equal; all 1 if not so."""
    dimensions = max(len(first), len(second))
    padded = [(1,) * (dimensions - len(shape)) + shape for shape in (first, second)]
    pairs = list(zip(reversed(padded[0]), reversed(padded[1]), strict=True))
    unequal = [pair for pair in pairs if pair[0] != pair[1]]
    if unequal and unequal[0][0] != 1:
        pairs = [(one, other) for other, one in pairs]
    folds = [1, 1, 1, 1, 1]
    for fold, belongs in enumerate((_equal, _first_is_one, _equal, _second_is_one, _equal)):
        while pairs and belongs(*pairs[0]):
            folds[fold] *= max(pairs.pop(0))
    return [1, 1, 1, 1, 1] if pairs else folds


def _equal(first: int, second: int) -> bool:
    return first == second


def _first_is_one(first: int, second: int) -> bool:  # noqa: ARG001
    return first == 1


def _second_is_one(first: int, second: int) -> bool:  # noqa: ARG001
    return second == 1


def _scale(view: NodeView, precision: str) -> float:
    """The real multiplier; LiteRT and XNNPACK form it in float32, TFLM in float64."""
    kind = np.float32 if precision == "float32" else np.float64
    first, second, output = (kind(t.scale) for t in (view.input(0), view.input(1), view.output()))
    return float(first * second / output)


def _params(view: NodeView, rule: Rule) -> MulParams:
    first, second, output = view.input(0), view.input(1), view.output()
    scale = _scale(view, rule.scale)
    multiplier, shift = quantize_multiplier(scale)
    bounds = activation_bounds(view.text("activation", "none"), output.scale, output.zero_point, limits(output.dtype))
    zero_points = first.zero_point, second.zero_point
    return MulParams(zero_points, int(multiplier[0]), int(shift[0]), scale, output.zero_point, *bounds)


OP = Mul()
