"""ADD: two quantized tensors, each with its own scale, broadcast against each other."""

from collections.abc import Callable
from functools import partial
from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.add import (
    add_tflite_reference,
    add_tflite_simd,
    add_tflite_simd_int16,
    add_tflite_simd_uint8,
    add_xnnpack,
)
from hwsim.kernels.single_rounding import add_single_rounding
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, no_rule
from hwsim.ops._dequantized import SUM, SUM_INSIDE, codes_to_reals, dequantized_sum, sum_inside
from hwsim.ops._elementwise import broadcast_folds, broadcast_shape, sample_rows
from hwsim.ops._fixed import FixableStep, Fixed, in_turn
from hwsim.ops._float import FLOATS, NUMBERS, WHOLE, binary, numbers
from hwsim.ops._rescaled import EACH, SUMS, fused_sum, rescaled_sum
from hwsim.ops._sums import STATED_SUM, check_general, tflite_params, xnnpack_params, xnnpack_rule
from hwsim.ops._vector_elementwise import sum_fits, vector_addition
from hwsim.ops._vector_moves import operands

VECTORS = {"int8": (add_tflite_simd, 16), "uint8": (add_tflite_simd_uint8, 8), "int16": (add_tflite_simd_int16, 16)}
"""LiteRT's vector bodies, and how many elements they take at a time."""

ALGORITHMS = {
    add_tflite_reference: "tflite",
    add_tflite_simd: "tflite_simd",
    add_tflite_simd_uint8: "tflite_simd_uint8",
    add_xnnpack: "xnnpack",
}
"""What the vector kernel calls those that it has."""


def _micro(view: NodeView) -> Rule:
    """TFLM adds int32 without the activation."""
    if view.text("activation", "none") != "none":
        raise UnsupportedError(f"{view.label}: TensorFlow Lite Micro ignores the activation of an int32 sum")
    return WHOLE


class Add(Op):
    """Addition of two tensors with a fused activation."""

    name = "add"
    sources = {"tflite": "ADD"}
    options = TfliteOptions("AddOptions", {"activation": "FusedActivationFunction", "pot_scale_int16": "PotScaleInt16"})
    stated = STATED_SUM
    rules = {
        "litert-reference": {**dict.fromkeys(VECTORS, Rule("tflite")), **numbers("int32", "int64", "float32")},
        "litert-optimized": dict.fromkeys(VECTORS, Rule("tflite_simd")),
        "xnnpack": {"int8": xnnpack_rule, "uint8": xnnpack_rule},
        "tflite-micro": {**dict.fromkeys(("int8", "int16"), Rule("tflite")), **numbers("float32"), "int32": _micro},
        "float": FLOATS,
        "onnxruntime": {"int8": Rule("fused_multiply_add"), "uint8": Rule("fused_multiply_add")},
        "aten": {**dict.fromkeys(("int8", "uint8"), Rule(SUM, "float32")), **FLOATS},
        "onednn-pt2e": {"float32": codes_to_reals},
        "qnnpack": {"uint8": Rule("sum_half_away", "22_bits")},
    }

    def signature(self, view: NodeView) -> str:
        first, second, output = view.input(0).dtype, view.input(1).dtype, view.output().dtype
        mixed = "int16" in (first, second, output) and not first == second == output
        return f"{first},{second}>{output}" if mixed else first

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule in NUMBERS:
            return binary(view, np.add)
        if rule.algorithm in SUMS or rule.algorithm in EACH:
            return rescaled_sum(view, rule)
        if rule.algorithm == "fused_multiply_add":
            return fused_sum(view)
        if rule.algorithm == SUM:
            return dequantized_sum(view)
        if rule.algorithm == SUM_INSIDE:
            return sum_inside(view)
        known = {"tflite": add_tflite_reference, "tflite_simd": add_tflite_reference, "xnnpack": add_xnnpack}
        known |= {"tflite_single": add_single_rounding}
        if rule.algorithm not in known:
            raise no_rule(view, rule)
        check_general(view)
        shape = view.output().shape
        params = xnnpack_params(view, 1) if rule.algorithm == "xnnpack" else tflite_params(view)
        rest = known[rule.algorithm]
        size = prod(shape)
        run, body, vector = _vectors(view) if rule.algorithm == "tflite_simd" else (size, 0, rest)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = (sample_rows(array, shape).reshape(-1, max(run, 1)) for array in inputs)
            out = outputs[0].reshape(-1, max(run, 1))
            if body:
                vector(first, second, params, 0, body, out)
            if body < run:
                rest(first, second, params, body, run, out)

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            mixed, way = 0 < body < run, ALGORITHMS.get(vector if body else rest)
            if way is None or not sum_fits(params, outputs[0]) or (mixed and body < LANES):
                return None
            inputs, before = operands(inputs, shape)
            rows = [array.reshape(-1, run if mixed else size) for array in (*inputs, outputs[0])]
            vectors = vector_addition(params, way, body if mixed else size, rows[:2], rows[2:])
            if not mixed:
                return in_turn(*before, vectors)
            return in_turn(*before, vectors, partial(rest, rows[0], rows[1], params, body, run, rows[2]))

        return FixableStep(step, fixed)


def _vectors(view: NodeView) -> tuple[int, int, Callable[..., None]]:
    """How many elements LiteRT adds at a time, how many of them in its vector body, and that body.

    Against a single code bytes are all added in the way of uint8, int16 in that of the reference, as wherever one
    input is broadcast. Source: TFLite optimized/integer_ops/add.h, AddScalarBroadcast.
    """
    folds, dtype = broadcast_folds(view), view.input(0).dtype
    vector, width = VECTORS[dtype]
    if dtype == "int16":
        whole = prod(view.output().shape)
        return whole, whole - whole % width if view.input(0).shape == view.input(1).shape else 0, vector
    run = folds[0] if folds[0] > 1 else folds[1]
    if folds[0] == 1 and run > 1:
        vector, width = VECTORS["uint8"]
    return run, run - run % width, vector


OP = Add()
