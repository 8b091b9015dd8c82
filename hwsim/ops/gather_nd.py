"""GATHER_ND: slices of a tensor, chosen by computed indices."""

import numpy as np

from hwsim.errors import InputError, ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class GatherNd(Move):
    """The last axis of the indices counts along the first axes of the values.

    Source: LiteRT tflite/kernels/gather_nd.cc; TFLM micro/kernels/gather_nd.cc.
    """

    name = "gather_nd"
    sources = {"tflite": "GATHER_ND"}
    options = TfliteOptions("GatherNdOptions")
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=("int8", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, indices = view.input(0).shape, view.input(1).shape
        if not indices or not 0 < indices[-1] <= len(shape):
            raise ShapeError(f"{view.label}: indices {[*indices]} do not fit values {[*shape]}")
        return ((*indices[:-1], *shape[indices[-1] :]),)

    def depends_on_values(self, view: NodeView) -> bool:
        return True

    def mover(self, view: NodeView) -> Mover:
        depth = view.input(1).shape[-1]
        sizes = np.array(view.input(0).shape[:depth])

        def move(inputs: Arrays) -> Arrays:
            indices = inputs[1]
            if ((indices < 0) | (indices >= sizes)).any():
                raise InputError(f"{view.label}: an index is outside values of shape {[*view.input(0).shape]}")
            samples = np.arange(len(indices)).reshape(-1, *(1,) * (indices.ndim - 2))
            return [inputs[0][(samples, *np.moveaxis(indices, -1, 0))]]

        return move


OP = GatherNd()
