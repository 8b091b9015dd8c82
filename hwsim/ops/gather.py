"""GATHER: chosen indices of one axis."""

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, axis_of


class Gather(Move):
    """The indices are constant; their axes take the place of the axis they choose from."""

    name = "gather"
    sources = {"tflite": "GATHER"}
    options = TfliteOptions("GatherOptions", {"axis": "Axis", "batch_dims": "BatchDims"})
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=("int8", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axis = view.input(0).shape, _axis(view)
        return ((*shape[:axis], *_indices(view).shape, *shape[axis + 1 :]),)

    def mover(self, view: NodeView) -> Mover:
        axis, indices = _axis(view) + 1, _indices(view)
        return lambda inputs: [np.take(inputs[0], indices, axis=axis)]


def _axis(view: NodeView) -> int:
    return axis_of(view, view.integer("axis", 0), len(view.input(0).shape))


def _indices(view: NodeView) -> NDArray[np.int64]:
    indices, size = view.constant(1).astype(np.int64), view.input(0).shape[_axis(view)]
    if view.integer("batch_dims", 0) != 0:
        raise UnsupportedError(f"{view.label}: batch_dims is {view.integer('batch_dims')}; hwsim runs 0 only")
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        raise ShapeError(
            f"{view.label}: indices are {indices.min()} to {indices.max()}; each must be in [0, {size - 1}]"
        )
    return indices


OP = Gather()
