"""LOGICAL_NOT of truth values."""

import numpy as np

from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class LogicalNot(Move):
    """Source: LiteRT tflite/kernels/elementwise.cc; TFLM micro/kernels/elementwise.cc."""

    name = "logical_not"
    sources = {"tflite": "LOGICAL_NOT"}
    options = TfliteOptions("LogicalNotOptions")
    rules = everywhere("logical", "bool")

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def mover(self, view: NodeView) -> Mover:
        return lambda inputs: [np.logical_not(inputs[0])]


OP = LogicalNot()
