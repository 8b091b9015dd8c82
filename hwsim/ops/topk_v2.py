"""TOPK_V2: the largest values along the last axis, largest first, and where they were."""

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere


class TopkV2(Op):
    """Of equal values the first comes first. Source: LiteRT tflite/kernels/topk_v2.cc."""

    name = "topk_v2"
    sources = {"tflite": "TOPK_V2"}
    options = TfliteOptions("TopKV2Options")
    rules = everywhere("first_of_equals", "int8", "uint8", "int16", "int32", "int64", "float32", micro=())

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, count = view.input(0).shape, int(view.constant(1).reshape(-1)[0])
        if not shape or not 0 <= count <= shape[-1]:
            raise ShapeError(f"{view.label}: asks for {count} of {[*shape]}; must be 0 to the last size")
        return ((*shape[:-1], count),) * 2

    def bind(self, view: NodeView, rule: Rule) -> Step:
        count = view.output().shape[-1]

        def step(inputs: Arrays, outputs: Arrays) -> None:
            values = inputs[0]
            downward = -values if values.dtype.kind == "f" else ~values  # ~ does not overflow
            order = np.argsort(downward, axis=-1, kind="stable")[..., :count]
            outputs[0][...] = np.take_along_axis(values, order, -1)
            outputs[1][...] = order

        return step


OP = TopkV2()
