"""PAD: a border of real zeros."""

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere
from hwsim.ops._paddings import padded_shape, paddings


class Pad(Op):
    """Constant padding with the code that stands for 0."""

    name = "pad"
    sources = {"tflite": "PAD"}
    options = TfliteOptions("PadOptions")
    rules = everywhere(
        "zero_point", "int8", "uint8", "int16", "int32", "float32", micro=("int8", "int16", "int32", "float32")
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

        return step


OP = Pad()
