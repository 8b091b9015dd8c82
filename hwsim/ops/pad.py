"""PAD: a border of real zeros."""

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere


class Pad(Op):
    """Constant padding with the code that stands for 0."""

    name = "pad"
    sources = {"tflite": "PAD"}
    options = TfliteOptions("PadOptions")
    rules = everywhere(
        "zero_point", "int8", "uint8", "int16", "int32", "float32", micro=("int8", "int16", "int32", "float32")
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, widths = view.input(0).shape, _widths(view)
        return (tuple(size + int(before) + int(after) for size, (before, after) in zip(shape, widths, strict=True)),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        shape, widths, output = view.input(0).shape, _widths(view), view.output()
        value = output.zero_point if output.format is not None else 0
        inner = tuple(slice(int(before), int(before) + size) for size, (before, _) in zip(shape, widths, strict=True))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = value
            outputs[0][(slice(None), *inner)] = inputs[0]

        return step


def _widths(view: NodeView) -> NDArray[np.int64]:
    widths, dimensions = view.constant(1).astype(np.int64), len(view.input(0).shape)
    if widths.shape != (dimensions, 2) or widths.min(initial=0) < 0:
        raise ShapeError(f"{view.label}: paddings are {widths.tolist()}; expected {dimensions} pairs of sizes >= 0")
    return widths


OP = Pad()
