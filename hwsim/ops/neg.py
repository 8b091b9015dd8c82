"""NEG: the negative of plain numbers."""

import numpy as np

from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class Neg(Move):
    """Engines have it for numbers, not for quantized codes."""

    name = "neg"
    sources = {"tflite": "NEG"}
    options = TfliteOptions("NegOptions")
    rules = everywhere("negative", "int32", "int64", "float32", micro=("float32",))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def mover(self, view: NodeView) -> Mover:
        return lambda inputs: [np.negative(inputs[0])]


OP = Neg()
