"""TRANSPOSE: the axes in another order."""

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, integers


class Transpose(Move):
    """Axis k of the output is axis permutation[k] of the input."""

    name = "transpose"
    sources = {"tflite": "TRANSPOSE"}
    options = TfliteOptions("TransposeOptions")
    rules = everywhere(
        "move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=("int8", "int16", "float32")
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape = view.input(0).shape
        return (tuple(shape[axis] for axis in _permutation(view)),)

    def mover(self, view: NodeView) -> Mover:
        axes = (0, *(axis + 1 for axis in _permutation(view)))
        return lambda inputs: [np.transpose(inputs[0], axes)]


def _permutation(view: NodeView) -> Shape:
    dimensions = len(view.input(0).shape)
    permutation = integers(view, 1, dimensions, "permutation")
    wrapped = tuple(axis + dimensions if axis < 0 else axis for axis in permutation)
    if sorted(wrapped) != list(range(dimensions)):
        raise ShapeError(
            f"{view.label}: permutation is {list(permutation)}; expected every axis of 0..{dimensions - 1} once"
        )
    return wrapped


OP = Transpose()
