"""SELECT: the first value where a condition holds, the second elsewhere; a vector chooses along the first axis."""

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class Select(Move):
    """Codes are moved as they are. Source: TFLite reference/select.h."""

    name = "select"
    sources = {"tflite": "SELECT"}
    options = TfliteOptions("SelectOptions")
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=())

    def signature(self, view: NodeView) -> str:
        return view.input(1).dtype

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        condition, first, second = (view.input(position).shape for position in range(3))
        if first != second or condition not in ((), (1,), first[:1], first):
            raise ShapeError(
                f"{view.label}: condition {[*condition]} and values {[*first]}, {[*second]} do not fit; "
                "expected equal values and a condition for each element, each first index, or all"
            )
        return (first,)

    def mover(self, view: NodeView) -> Mover:
        shape = view.output().shape

        def move(inputs: Arrays) -> Arrays:
            condition = inputs[0].reshape(*inputs[0].shape, *(1,) * (len(shape) + 1 - inputs[0].ndim))
            return [np.where(condition, inputs[1], inputs[2])]

        return move


OP = Select()
