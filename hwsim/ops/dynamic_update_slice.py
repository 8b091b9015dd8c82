"""DYNAMIC_UPDATE_SLICE: a tensor with a part of it replaced, at a computed place."""

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere


class DynamicUpdateSlice(Op):
    """The place is moved so that the part fits. Source: LiteRT tflite/kernels/dynamic_update_slice.cc."""

    name = "dynamic_update_slice"
    sources = {"tflite": "DYNAMIC_UPDATE_SLICE"}
    options = TfliteOptions("DynamicUpdateSliceOptions")
    rules = everywhere(
        "move",
        *("int8", "uint8", "int16", "int32", "int64", "float32", "bool"),
        micro=("int8", "int16", "int32", "float32"),
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        whole, part, start = (view.input(position).shape for position in range(3))
        if len(part) != len(whole) or start != (len(whole),) or any(p > w for p, w in zip(part, whole, strict=True)):
            raise ShapeError(f"{view.label}: {[*part]} at a place of {[*start]} indices does not fit {[*whole]}")
        return (whole,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        room = np.array(view.input(0).shape, np.int64) - view.input(1).shape
        sizes = view.input(1).shape

        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = inputs[0]
            for out, part, start in zip(outputs[0], inputs[1], np.clip(inputs[2], 0, room), strict=True):
                out[tuple(slice(at, at + size) for at, size in zip(start, sizes, strict=True))] = part

        return step


OP = DynamicUpdateSlice()
