"""SQUARED_DIFFERENCE: (a - b) * (a - b) of two quantized tensors, broadcast against each other."""

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.add import AddParams
from hwsim.kernels.squared_difference import squared_difference
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.ops._elementwise import broadcast_shape, sample_rows
from hwsim.ops._float import FLOATS, NUMBERS, Reals, binary, numbers
from hwsim.quantizers.multiplier import quantize_multiplier

LEFT_SHIFT = {"int8": 7, "int16": 0}


class SquaredDifference(Op):
    """Source: LiteRT tflite/kernels/squared_difference.cc; TFLM micro/kernels/squared_difference.cc."""

    name = "squared_difference"
    sources = {"tflite": "SQUARED_DIFFERENCE"}
    options = TfliteOptions("SquaredDifferenceOptions")
    rules = {
        "litert-reference": {"int8": Rule("tflite"), **numbers("int32", "float32")},
        "tflite-micro": {"int8": Rule("tflite"), "int16": Rule("tflite"), **numbers("int32", "float32")},
        "float": FLOATS,
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule in NUMBERS:
            return binary(view, _square)
        if rule.algorithm != "tflite":
            raise no_rule(view, rule)
        shape, params = view.output().shape, _params(view)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            squared_difference(first, second, params, outputs[0].reshape(outputs[0].shape[0], -1))

        return step


def _square(first: Reals, second: Reals, out: Reals) -> None:
    np.square(first - second, out=out)


def _params(view: NodeView) -> AddParams:
    first, second, output = view.input(0), view.input(1), view.output()
    left, twice_largest = LEFT_SHIFT[first.dtype], 2.0 * max(first.scale, second.scale)
    square = twice_largest * twice_largest / (2.0 ** (2 * left) * output.scale)
    real = np.array([first.scale / twice_largest, second.scale / twice_largest, square])
    multiplier, shift = (array.tolist() for array in quantize_multiplier(real))
    inputs = (multiplier[0], multiplier[1]), (shift[0], shift[1])
    zero_points = first.zero_point, second.zero_point
    return AddParams(zero_points, *inputs, left, multiplier[2], shift[2], output.zero_point, *limits(output.dtype))


OP = SquaredDifference()
