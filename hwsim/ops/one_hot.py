"""ONE_HOT: one value where a computed index points, another elsewhere."""

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, axis_of


class OneHot(Move):
    """Inputs: indices, how many (constant), the value there and the one elsewhere.

    Source: LiteRT tflite/kernels/one_hot.cc.
    """

    name = "one_hot"
    sources = {"tflite": "ONE_HOT"}
    options = TfliteOptions("OneHotOptions", {"axis": "Axis"})
    rules = everywhere("move", "int8", "uint8", "int32", "int64", "float32", "bool", micro=())

    def signature(self, view: NodeView) -> str:
        return view.input(2).dtype

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axis, depth = view.input(0).shape, _axis(view), int(view.constant(1).reshape(-1)[0])
        if depth < 0:
            raise ShapeError(f"{view.label}: depth is {depth}; must be at least 0")
        return ((*shape[:axis], depth, *shape[axis:]),)

    def mover(self, view: NodeView) -> Mover:
        axis = _axis(view) + 1
        classes = np.arange(view.output().shape[axis - 1]).reshape(-1, *(1,) * (len(view.output().shape) - axis))

        def move(inputs: Arrays) -> Arrays:
            ones = (1,) * len(view.output().shape)
            there = np.expand_dims(inputs[0], axis) == classes
            return [np.where(there, inputs[2].reshape(-1, *ones), inputs[3].reshape(-1, *ones))]

        return move


def _axis(view: NodeView) -> int:
    return axis_of(view, view.integer("axis", -1), len(view.input(0).shape) + 1)


OP = OneHot()
