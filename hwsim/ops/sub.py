"""SUB: the difference of two quantized tensors, each with its own scale, broadcast against each other."""

from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.add import add_xnnpack
from hwsim.kernels.sub import sub_tflite
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, no_rule
from hwsim.ops._elementwise import broadcast_shape, sample_rows
from hwsim.ops._fixed import FixableStep, Fixed, in_turn
from hwsim.ops._float import FLOATS, NUMBERS, binary, numbers
from hwsim.ops._sums import STATED_SUM, check_general, tflite_params, xnnpack_params, xnnpack_rule
from hwsim.ops._vector_elementwise import sum_fits, vector_addition
from hwsim.ops._vector_moves import operands


class Sub(Op):
    """Subtraction of the second tensor from the first, with a fused activation."""

    name = "sub"
    sources = {"tflite": "SUB"}
    options = TfliteOptions("SubOptions", {"activation": "FusedActivationFunction", "pot_scale_int16": "PotScaleInt16"})
    stated = STATED_SUM
    rules = {
        "litert-reference": {
            **dict.fromkeys(("int8", "uint8", "int16"), Rule("tflite")),
            **numbers("int32", "int64", "float32"),
        },
        "xnnpack": {"int8": xnnpack_rule, "uint8": xnnpack_rule},
        "tflite-micro": {"int8": Rule("tflite", "float32"), "int16": Rule("tflite"), **numbers("int32", "float32")},
        "float": FLOATS,
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule in NUMBERS:
            return binary(view, np.subtract)
        if rule.algorithm not in ("tflite", "xnnpack"):
            raise no_rule(view, rule)
        check_general(view)
        shape, size = view.output().shape, prod(view.output().shape)
        params = xnnpack_params(view, -1) if rule.algorithm == "xnnpack" else tflite_params(view, rule.scale)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            out = outputs[0].reshape(outputs[0].shape[0], -1)
            if rule.algorithm == "xnnpack":
                add_xnnpack(first, second, params, 0, size, out)
            else:
                sub_tflite(first, second, params, out)

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if not sum_fits(params, outputs[0]):
                return None
            inputs, before = operands(inputs, shape)
            algorithm = "xnnpack" if rule.algorithm == "xnnpack" else "sub"
            return in_turn(*before, vector_addition(params, algorithm, size, inputs, outputs))

        return FixableStep(step, fixed)


OP = Sub()
