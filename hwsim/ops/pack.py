"""PACK: tensors of one shape, stacked along a new axis."""

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, axis_of, same_formats


class Pack(Move):
    """Every input becomes one index of the new axis."""

    name = "pack"
    sources = {"tflite": "PACK"}
    options = TfliteOptions("PackOptions", {"values_count": "ValuesCount", "axis": "Axis"})
    rules = everywhere(
        "move",
        "int8",
        "uint8",
        "int16",
        "int32",
        "int64",
        "float32",
        micro=("int8", "int16", "int32", "int64", "float32"),
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        count = len(view.node.inputs)
        shapes = [view.input(i).shape for i in range(count)]
        if view.integer("values_count", count) != count:
            raise ShapeError(f"{view.label}: values_count is {view.integer('values_count')}; it has {count} inputs")
        if len(set(shapes)) != 1:
            raise ShapeError(f"{view.label}: inputs are {[list(s) for s in shapes]}; expected one shape")
        axis = _axis(view)
        return ((*shapes[0][:axis], count, *shapes[0][axis:]),)

    def mover(self, view: NodeView) -> Mover:
        same_formats(view, [view.input(i) for i in range(len(view.node.inputs))])
        axis = _axis(view) + 1
        return lambda inputs: [np.stack(inputs, axis=axis)]


def _axis(view: NodeView) -> int:
    return axis_of(view, view.integer("axis", 0), len(view.input(0).shape) + 1)


OP = Pack()
