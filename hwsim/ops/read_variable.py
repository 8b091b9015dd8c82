"""READ_VARIABLE: what a resource variable holds."""

from hwsim.graph import NodeView
from hwsim.graph.graph import DTYPES
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class ReadVariable(Move):
    """The variable is a tensor of the graph; files have handles of it.

    Source: LiteRT tflite/kernels/read_variable.cc; TFLM micro/kernels/read_variable.cc.
    """

    name = "read_variable"
    sources = {"tflite": "READ_VARIABLE"}
    options = TfliteOptions("ReadVariableOptions")
    rules = everywhere("move", *DTYPES)

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def mover(self, view: NodeView) -> Mover:
        return lambda inputs: [inputs[0]]


OP = ReadVariable()
