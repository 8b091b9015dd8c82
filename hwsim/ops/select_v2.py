"""SELECT_V2: the first value where a condition holds, the second elsewhere; all three broadcast."""

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Shape, TfliteOptions, everywhere
from hwsim.ops._elementwise import sample_rows
from hwsim.ops._moves import Move, Mover


class SelectV2(Move):
    """Codes are moved as they are. Source: TFLite reference/select.h."""

    name = "select_v2"
    sources = {"tflite": "SELECT_V2"}
    options = TfliteOptions("SelectV2Options")
    rules = everywhere(
        "move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=("int8", "int16", "float32")
    )

    def signature(self, view: NodeView) -> str:
        return view.input(1).dtype

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shapes = [view.input(position).shape for position in range(3)]
        try:
            return (np.broadcast_shapes(*shapes),)
        except ValueError:
            raise ShapeError(f"{view.label}: inputs {[list(shape) for shape in shapes]} do not broadcast") from None

    def mover(self, view: NodeView) -> Mover:
        shape = view.output().shape

        def move(inputs: Arrays) -> Arrays:
            condition, first, second = (sample_rows(array, shape) for array in inputs[:3])
            return [np.where(condition, first, second).reshape(-1, *shape)]

        return move


OP = SelectV2()
