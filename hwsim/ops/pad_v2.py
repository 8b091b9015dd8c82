"""PADV2: a border of a given constant."""

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere
from hwsim.ops._moves import same_formats
from hwsim.ops._paddings import padded_shape, paddings

OTHERS = ("int16", "int32", "int64", "float32", "bool")


class PadV2(Op):
    """The border's code is a constant input in the output's number format."""

    name = "pad_v2"
    sources = {"tflite": "PADV2"}
    options = TfliteOptions("PadV2Options")
    rules = everywhere("move", "int8", "uint8", *OTHERS, micro=("int8", "int16", "int32", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (padded_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        same_formats(view, [view.input(0), view.input(2)])
        value = view.constant(2)
        if value.size != 1:
            raise ShapeError(f"{view.label}: {view.input(2).name!r} has {value.size} values; expected 1")
        code = value.reshape(-1)[0]
        spans = zip(view.input(0).shape, paddings(view), strict=True)
        inner = (slice(None), *(slice(before, before + size) for size, (before, _) in spans))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = code
            outputs[0][inner] = inputs[0]

        return step


OP = PadV2()
