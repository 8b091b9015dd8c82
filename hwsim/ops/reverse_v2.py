"""REVERSE_V2: the order along constant axes turned round."""

import numpy as np

from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, axis_of


class ReverseV2(Move):
    """Input 1 names the axes."""

    name = "reverse_v2"
    sources = {"tflite": "REVERSE_V2"}
    options = TfliteOptions("ReverseV2Options")
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool")

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def mover(self, view: NodeView) -> Mover:
        dimensions = len(view.input(0).shape)
        axes = tuple(axis_of(view, int(axis), dimensions) + 1 for axis in view.constant(1).reshape(-1))
        return lambda inputs: [np.flip(inputs[0], axes)]


OP = ReverseV2()
