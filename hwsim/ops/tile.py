"""TILE: a tensor repeated along each axis."""

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, integers


class Tile(Move):
    """Constant numbers of copies; TFLM lacks it."""

    name = "tile"
    sources = {"tflite": "TILE"}
    options = TfliteOptions("TileOptions")
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=())

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, copies = view.input(0).shape, _copies(view)
        return (tuple(size * count for size, count in zip(shape, copies, strict=True)),)

    def mover(self, view: NodeView) -> Mover:
        copies = (1, *_copies(view))
        return lambda inputs: [np.tile(inputs[0], copies)]


def _copies(view: NodeView) -> Shape:
    copies = integers(view, 1, len(view.input(0).shape), "multiples")
    if min(copies, default=1) < 0:
        raise ShapeError(f"{view.label}: multiples are {list(copies)}; each must be >= 0")
    return copies


OP = Tile()
