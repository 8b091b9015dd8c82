"""SHAPE: the sizes of a tensor."""

import numpy as np

from hwsim.graph import NodeView
from hwsim.graph.graph import DTYPES
from hwsim.ops._base import Shape as Sizes
from hwsim.ops._base import TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class Shape(Move):
    """As declared: hwsim runs the batch that the file has."""

    name = "shape"
    sources = {"tflite": "SHAPE"}
    options = TfliteOptions("ShapeOptions", {"out_type": "OutType"})
    rules = everywhere("declared", *DTYPES)

    def infer_shapes(self, view: NodeView) -> tuple[Sizes, ...]:
        return ((len(view.input(0).shape),),)

    def mover(self, view: NodeView) -> Mover:
        sizes = np.array(view.input(0).shape, np.int64)
        return lambda _: [sizes]


OP = Shape()
