"""BROADCAST_TO: sizes of 1 repeated to those of a constant shape."""

import numpy as np

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class BroadcastTo(Move):
    """As NumPy broadcasts."""

    name = "broadcast_to"
    sources = {"tflite": "BROADCAST_TO"}
    options = TfliteOptions("BroadcastToOptions")
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool")

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        source, wanted = view.input(0).shape, tuple(int(size) for size in view.constant(1).reshape(-1))
        try:
            fits = np.broadcast_shapes(source, wanted) == wanted
        except ValueError:
            fits = False
        if not fits:
            raise ShapeError(f"{view.label}: {list(source)} does not broadcast to {list(wanted)}")
        return (wanted,)

    def mover(self, view: NodeView) -> Mover:
        source, wanted = view.input(0).shape, self.infer_shapes(view)[0]
        widened = (1,) * (len(wanted) - len(source)) + source
        return lambda inputs: [np.broadcast_to(inputs[0].reshape(-1, *widened), (len(inputs[0]), *wanted))]


OP = BroadcastTo()
