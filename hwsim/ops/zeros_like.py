"""ZEROS_LIKE: zeros in the shape of a tensor."""

import numpy as np

from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class ZerosLike(Move):
    """The number 0, whatever the number format. Source: LiteRT tflite/kernels/zeros_like.cc."""

    name = "zeros_like"
    sources = {"tflite": "ZEROS_LIKE"}
    options = TfliteOptions("ZerosLikeOptions")
    rules = everywhere("zeros", "int32", "int64", "float32", micro=("int8", "int32", "int64", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def mover(self, view: NodeView) -> Mover:
        return lambda inputs: [np.zeros_like(inputs[0])]


OP = ZerosLike()
