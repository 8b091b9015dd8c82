"""UNPACK: one output for each index of an axis, which is dropped."""

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, axis_of, outputs_expected


class Unpack(Move):
    """The inverse of PACK."""

    name = "unpack"
    sources = {"tflite": "UNPACK"}
    options = TfliteOptions("UnpackOptions", {"num": "Num", "axis": "Axis"})
    rules = everywhere(
        "move", "int8", "uint8", "int16", "int32", "float32", "bool", micro=("int8", "int16", "int32", "float32")
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axis, count = view.input(0).shape, _axis(view), view.integer("num")
        outputs_expected(view, "num", count)
        if count != shape[axis]:
            raise ShapeError(f"{view.label}: num is {count}; axis {axis} of {list(shape)} has {shape[axis]}")
        return ((*shape[:axis], *shape[axis + 1 :]),) * count

    def mover(self, view: NodeView) -> Mover:
        axis = _axis(view) + 1
        return lambda inputs: list(np.moveaxis(inputs[0], axis, 0))


def _axis(view: NodeView) -> int:
    return axis_of(view, view.integer("axis", 0), len(view.input(0).shape))


OP = Unpack()
