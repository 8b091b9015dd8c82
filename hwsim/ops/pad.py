"""PAD: a border of real zeros."""

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere
from hwsim.ops._fixed import FixableStep, Fixed, in_turn
from hwsim.ops._paddings import padded_shape, paddings
from hwsim.ops._vector_moves import fill, moves


class Pad(Op):
    """Constant padding with the code that stands for 0."""

    name = "pad"
    sources = {"tflite": "PAD"}
    options = TfliteOptions("PadOptions")
    rules = everywhere(
        "zero_point",
        *("int8", "uint8", "int16", "int32", "int64", "float32", "bool"),
        micro=("int8", "int16", "int32", "float32"),
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (padded_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        output = view.output()
        value = output.zero_point if output.format is not None else 0
        inner = tuple(slice(b, b + n) for n, (b, _) in zip(view.input(0).shape, paddings(view), strict=True))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = value
            outputs[0][(slice(None), *inner)] = inputs[0]

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            steps = moves(inputs, inputs[:1], [outputs[0][(slice(None), *inner)]])
            if steps is None or (value != 0 and outputs[0].itemsize > 1):
                return None
            return in_turn(fill(outputs[0], value), *steps)

        return FixableStep(step, fixed)


OP = Pad()
