"""ADD: two quantized tensors, each with its own scale, broadcast against each other."""

from functools import partial
from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.add import AddParams, add_tflite_reference, add_tflite_simd, add_tflite_simd_uint8, add_xnnpack
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, no_rule
from hwsim.ops._elementwise import broadcast_shape, sample_rows
from hwsim.ops._fixed import FixableStep, Fixed, in_turn
from hwsim.ops._float import FLOAT, FLOATS, binary
from hwsim.ops._rescaled import EACH, SUMS, fused_sum, rescaled_sum
from hwsim.ops._sums import tflite_params, xnnpack_params, xnnpack_rule
from hwsim.ops._vector_elementwise import vector_addition
from hwsim.ops._vector_layer import fits

VECTORS = {"int8": (add_tflite_simd, 16), "uint8": (add_tflite_simd_uint8, 8)}


class Add(Op):
    """Addition of two tensors with a fused activation."""

    name = "add"
    sources = {"tflite": "ADD"}
    options = TfliteOptions("AddOptions", {"activation": "FusedActivationFunction", "pot_scale_int16": "PotScaleInt16"})
    rules = {
        "litert-reference": {"int8": Rule("tflite"), "uint8": Rule("tflite")},
        "litert-optimized": {"int8": Rule("tflite_simd"), "uint8": Rule("tflite_simd")},
        "xnnpack": {"int8": xnnpack_rule, "uint8": xnnpack_rule},
        "tflite-micro": {"int8": Rule("tflite")},
        "float": FLOATS,
        "onnxruntime": {"int8": Rule("fused_multiply_add"), "uint8": Rule("fused_multiply_add")},
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return binary(view, np.add)
        if rule.algorithm in SUMS or rule.algorithm in EACH:
            return rescaled_sum(view, rule)
        if rule.algorithm == "fused_multiply_add":
            return fused_sum(view)
        if rule.algorithm not in ("tflite", "tflite_simd", "xnnpack"):
            raise no_rule(view, rule)
        shape = view.output().shape
        params = xnnpack_params(view, 1) if rule.algorithm == "xnnpack" else tflite_params(view)
        rest = add_xnnpack if rule.algorithm == "xnnpack" else add_tflite_reference
        vector, width = VECTORS[view.input(0).dtype]
        size = prod(shape)
        body = size - size % width if rule.algorithm == "tflite_simd" else 0

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            out = outputs[0].reshape(outputs[0].shape[0], -1)
            if body:
                vector(first, second, params, 0, body, out)
            if body < size:
                rest(first, second, params, body, size, out)

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if not _fits(params, inputs, outputs) or 0 < body < LANES:
                return None
            inputs = [np.ascontiguousarray(array) for array in inputs]  # a constant is one value for all samples
            whole = body or size
            vectors = vector_addition(params, rule.algorithm, whole, inputs, outputs)
            if whole == size:
                return vectors
            rows = [array.reshape(array.shape[0], -1) for array in (*inputs, outputs[0])]
            tail = partial(rest, rows[0], rows[1], params, whole, size, rows[2])
            return in_turn(vectors, tail)

        return FixableStep(step, fixed)


def _fits(p: AddParams, inputs: Arrays, outputs: Arrays) -> bool:
    """Whether the vector kernel's shifts and lengths do for this addition."""
    shapes = {array.shape for array in (*inputs, *outputs)}
    folded = all(p.left_shift + shift >= 0 for shift in p.shifts)
    downward = p.shift >= 1 if p.left_shift == 0 else p.shift <= 0
    return fits(outputs[0]) and len(shapes) == 1 and outputs[0][0].size >= LANES and folded and downward


OP = Add()
