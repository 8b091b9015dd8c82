"""MUL: the product of two quantized tensors, broadcast against each other."""

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.mul import MulParams, mul_tflite, mul_tflite_simd, mul_xnnpack
from hwsim.kernels.requantize import ROUNDINGS, OutputStage
from hwsim.kernels.single_rounding import mul_single_rounding
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, no_rule, symmetric_int16
from hwsim.ops._elementwise import broadcast_folds, broadcast_shape, sample_rows
from hwsim.ops._fixed import FixableStep, Fixed, in_turn
from hwsim.ops._float import FLOATS, NUMBERS, binary, numbers
from hwsim.ops._rescaled import PRODUCTS, rescaled_product
from hwsim.ops._stated import output_bounds, stated_real
from hwsim.ops._vector_elementwise import LARGEST_PRODUCT, vector_product
from hwsim.ops._vector_layer import fits
from hwsim.ops._vector_moves import operands
from hwsim.quantizers.multiplier import quantize_multiplier

VECTORS = {"int8": 16, "uint8": 8}
"""Elements that LiteRT's vector loop takes at a time."""

LARGEST_16_BITS = 32767 - 255
"""What a rounded product may be without leaving 16 bits, with any zero point added."""


def _xnnpack(view: NodeView) -> Rule | None:
    """XNNPACK takes a product whose scale is in [2^-16, 2^8)."""
    return Rule("xnnpack", "float32") if 2.0**-16 <= _scale(view, "float32") < 2.0**8 else None


class Mul(Op):
    """Multiplication of two tensors with a fused activation."""

    name = "mul"
    sources = {"tflite": "MUL"}
    options = TfliteOptions("MulOptions", {"activation": "FusedActivationFunction"})
    stated = ("output_multiplier", "output_shift", "output_minimum", "output_maximum")
    rules = {
        "litert-reference": {
            **dict.fromkeys(("int8", "uint8", "int16"), Rule("tflite", "float32")),
            **numbers("int32", "int64", "float32"),
        },
        "litert-optimized": {"int8": Rule("tflite_simd", "float32"), "uint8": Rule("tflite_simd", "float32")},
        "xnnpack": {"int8": _xnnpack, "uint8": _xnnpack},
        "tflite-micro": {**dict.fromkeys(("int8", "int16"), Rule("tflite")), **numbers("int32", "float32")},
        "float": FLOATS,
        "onnxruntime": dict.fromkeys(VECTORS, Rule("zero_point_inside", "float32")),
        "aten": {**dict.fromkeys(VECTORS, Rule("float32", "float32_reciprocal")), **FLOATS},
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule in NUMBERS:
            return binary(view, np.multiply)
        if rule.algorithm in PRODUCTS:
            return rescaled_product(view, rule)
        known = {"tflite": mul_tflite, "tflite_simd": mul_tflite_simd, "xnnpack": mul_xnnpack}
        known |= {"tflite_single": mul_single_rounding}
        if rule.algorithm not in known:
            raise no_rule(view, rule)
        symmetric_int16(view, [view.input(0), view.input(1), view.output()])
        kernel, params, shape = known[rule.algorithm], _params(view, rule), view.output().shape
        vector = _vector(view) if rule.algorithm == "tflite_simd" else ()

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            kernel(first, second, params, *vector, outputs[0].reshape(outputs[0].shape[0], -1))

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            stage = _stage(params, rule)
            if stage is None or not fits(outputs[0], outputs[0]):
                return None
            inputs, before = operands(inputs, shape)
            product = vector_product(stage, params.zero_points, inputs, outputs[0])
            return None if product is None else in_turn(*before, product)

        return FixableStep(step, fixed)


def _stage(p: MulParams, rule: Rule) -> OutputStage | None:
    """The output stage that does the same with a product; None where there is none.

    LiteRT's vectors keep 16 bits on the way: where no product can leave them, they compute as its reference.
    """
    if rule.algorithm == "tflite_simd" and p.scale * LARGEST_PRODUCT > LARGEST_16_BITS:
        return None
    names = {"xnnpack": "float32", "tflite_single": "single_rounding"}
    rounding = ROUNDINGS[names.get(rule.algorithm, "double_rounding")]
    numbers = np.array([p.multiplier]), np.array([p.shift]), np.array([p.scale], np.float64)
    return OutputStage(rounding, *numbers, p.zero_point, p.minimum, p.maximum)


def _vector(view: NodeView) -> tuple[int, int, bool]:
    """How many elements LiteRT computes at a time, how many of them in its vector body, and whether that saturates.

    Source: TFLite optimized/optimized_ops.h, BinaryBroadcastFiveFold. That uint8 does not saturate against a single
    code was measured (ai-edge-litert 2.3.0).
    """
    folds = broadcast_folds(view)
    run = folds[0] if folds[0] > 1 else folds[1]
    dtype = view.output().dtype
    return run, run - run % VECTORS[dtype], dtype == "int8" or folds[0] > 1


def _scale(view: NodeView, precision: str) -> float:
    """The real multiplier, where the node does not state it; LiteRT and XNNPACK form it in float32, TFLM in float64."""
    kind = np.float32 if precision == "float32" else np.float64
    stated = stated_real(view, "output", 1)
    if stated is not None:
        return float(kind(stated[0]))
    first, second, output = (kind(t.scale) for t in (view.input(0), view.input(1), view.output()))
    return float(first * second / output)


def _params(view: NodeView, rule: Rule) -> MulParams:
    first, second, output = view.input(0), view.input(1), view.output()
    scale = _scale(view, rule.scale)
    multiplier, shift = quantize_multiplier(scale)
    zero_points = first.zero_point, second.zero_point
    return MulParams(zero_points, int(multiplier[0]), int(shift[0]), scale, output.zero_point, *output_bounds(view))


OP = Mul()
