"""GATHER: chosen indices of one axis."""

from math import prod

import numpy as np

from hwsim.errors import InputError, ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, axis_of


class Gather(Move):
    """The indices' axes take the place of the axis they choose from; the first `batch_dims` are those of the values.

    Source: LiteRT tflite/kernels/gather.cc; TFLM micro/kernels/gather.cc.
    """

    name = "gather"
    sources = {"tflite": "GATHER"}
    options = TfliteOptions("GatherOptions", {"axis": "Axis", "batch_dims": "BatchDims"})
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=("int8", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, indices, (batches, axis) = view.input(0).shape, view.input(1).shape, _axes(view)
        if not 0 <= batches <= min(axis, len(indices)) or shape[:batches] != indices[:batches]:
            raise ShapeError(
                f"{view.label}: batch_dims is {batches} of values {[*shape]} and indices {[*indices]}; expected equal "
                "sizes, and no more of them than axes before the chosen one"
            )
        data, last = view.input(1).data, shape[axis] - 1
        if data is not None and data.size and (data.min() < 0 or data.max() > last):
            raise ShapeError(f"{view.label}: indices are {data.min()} to {data.max()}; each must be in [0, {last}]")
        return ((*shape[:axis], *indices[batches:], *shape[axis + 1 :]),)

    def depends_on_values(self, view: NodeView) -> bool:
        return view.input(1).data is None

    def mover(self, view: NodeView) -> Mover:
        shape, data, (batches, axis) = view.input(0).shape, view.input(1).data, _axes(view)
        if batches == 0 and data is not None:
            indices = data.astype(np.int64)
            return lambda inputs: [np.take(inputs[0], indices, axis=axis + 1)]
        outer, inner, output = prod(shape[batches:axis]), prod(shape[axis + 1 :]), view.output().shape

        def move(inputs: Arrays) -> Arrays:
            count = len(inputs[0]) * prod(shape[:batches])
            values, chosen = inputs[0].reshape(count, outer, shape[axis], inner), inputs[1].reshape(count, 1, -1)
            if ((chosen < 0) | (chosen >= shape[axis])).any():
                raise InputError(f"{view.label}: an index is outside the axis of size {shape[axis]}")
            rows, lines = np.arange(count)[:, None, None], np.arange(outer)[:, None]
            return [values[rows, lines, chosen].reshape(-1, *output)]

        return move


def _axes(view: NodeView) -> tuple[int, int]:
    """How many axes are batches, and the axis to choose from."""
    batches, dimensions = view.integer("batch_dims", 0), len(view.input(1).shape)
    return batches + dimensions if batches < 0 else batches, axis_of(
        view, view.integer("axis", 0), len(view.input(0).shape)
    )


OP = Gather()
