"""SCATTER_ND: slices added into zeros at computed indices."""

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import InputError, ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere


class ScatterNd(Op):
    """The shape is constant; what falls on one place is added, in order. Source: TFLite reference/scatter_nd.h."""

    name = "scatter_nd"
    sources = {"tflite": "SCATTER_ND"}
    options = TfliteOptions("ScatterNdOptions")
    rules = everywhere("add", "int8", "uint8", "int32", "int64", "float32", "bool", micro=())

    def signature(self, view: NodeView) -> str:
        return view.input(1).dtype

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape = tuple(int(size) for size in view.constant(2).reshape(-1))
        indices, updates = view.input(0).shape, view.input(1).shape
        if not indices or not 0 < indices[-1] <= len(shape) or updates != (*indices[:-1], *shape[indices[-1] :]):
            raise ShapeError(f"{view.label}: indices {[*indices]}, updates {[*updates]} and {[*shape]} do not fit")
        return (shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        shape = view.output().shape
        depth = view.input(0).shape[-1]
        sizes = np.array(shape[:depth])

        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = 0
            if ((inputs[0] < 0) | (inputs[0] >= sizes)).any():
                raise InputError(f"{view.label}: an index is outside the shape {[*shape]}")
            for indices, updates, out in zip(inputs[0], inputs[1], outputs[0], strict=True):
                np.add.at(out, tuple(np.moveaxis(indices, -1, 0)), updates)

        return step


OP = ScatterNd()
