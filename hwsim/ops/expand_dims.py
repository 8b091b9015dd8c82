"""EXPAND_DIMS: the same values with one more axis, of size 1."""

from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, axis_of, integers


class ExpandDims(Move):
    """The place of the new axis is a constant input."""

    name = "expand_dims"
    sources = {"tflite": "EXPAND_DIMS"}
    options = TfliteOptions("ExpandDimsOptions")
    rules = everywhere(
        "move", "int8", "uint8", "int16", "int32", "int64", "float32", "bool", micro=("int8", "int16", "float32")
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape = view.input(0).shape
        axis = axis_of(view, integers(view, 1, 1, "axis")[0], len(shape) + 1)
        return ((*shape[:axis], 1, *shape[axis:]),)

    def mover(self, view: NodeView) -> Mover:
        shape = self.infer_shapes(view)[0]
        return lambda inputs: [inputs[0].reshape(len(inputs[0]), *shape)]


OP = ExpandDims()
