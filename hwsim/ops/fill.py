"""FILL: one value in every place of a constant shape."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class Fill(Move):
    """The value is input 1, the shape input 0."""

    name = "fill"
    sources = {"tflite": "FILL"}
    options = TfliteOptions("FillOptions")
    rules = everywhere(
        "move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=("int8", "int32", "float32")
    )

    def signature(self, view: NodeView) -> str:
        return view.input(1).dtype

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        if view.input(1).shape not in ((), (1,)):
            raise ShapeError(f"{view.label}: value has shape {list(view.input(1).shape)}; expected a single one")
        return (tuple(int(size) for size in view.constant(0).reshape(-1)),)

    def mover(self, view: NodeView) -> Mover:
        ones = (1,) * len(view.output().shape)
        return lambda inputs: [inputs[1].reshape(-1, *ones)]


OP = Fill()
