"""DIV: the quotient of two quantized tensors, broadcast against each other."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.div import div
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, no_rule
from hwsim.ops._byte_function import multiplier_of
from hwsim.ops._elementwise import broadcast_shape, sample_rows
from hwsim.ops._float import FLOAT, FLOATS, WHOLE, Reals, binary, numbers
from hwsim.ops._numbers import refuse_zero_divisor, toward_zero
from hwsim.ops._stated import output_bounds


class Div(Op):
    """Division of the first tensor by the second, with a fused activation.

    Source: LiteRT tflite/kernels/div.cc; TFLM micro/kernels/div.cc.
    """

    name = "div"
    sources = {"tflite": "DIV"}
    options = TfliteOptions("DivOptions", {"activation": "FusedActivationFunction"})
    rules = {
        "litert-reference": {
            **dict.fromkeys(("int8", "uint8", "int16"), Rule("reciprocal", "float32")),
            **numbers("int32", "float32"),
        },
        "tflite-micro": {"int8": Rule("reciprocal", "float32"), **numbers("int32", "float32")},
        "float": FLOATS,
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return binary(view, _quotient)
        if rule == WHOLE:
            return binary(view, partial(_whole_quotient, view))
        if rule.algorithm != "reciprocal":
            raise no_rule(view, rule)
        first, second, output = view.input(0), view.input(1), view.output()
        scale = np.float32(first.scale) / (np.float32(second.scale) * np.float32(output.scale))
        multiplier, shift = multiplier_of(scale)
        zero_points = first.zero_point, second.zero_point
        rest = (zero_points, multiplier, shift, output.zero_point, *output_bounds(view))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            left, right = sample_rows(inputs[0], output.shape), sample_rows(inputs[1], output.shape)
            refuse_zero_divisor(view, inputs[1] != second.zero_point)
            div(left, right, *rest, outputs[0].reshape(outputs[0].shape[0], -1))

        return step


def _quotient(first: Reals, second: Reals, out: Reals) -> None:
    with np.errstate(divide="ignore", invalid="ignore"):  # as any float engine: infinite or NaN where it divides by 0
        np.divide(first, second, out=out)


def _whole_quotient(view: NodeView, first: NDArray[Any], second: NDArray[Any], out: NDArray[Any]) -> None:
    refuse_zero_divisor(view, second)
    out[...] = toward_zero(first, second)


OP = Div()
