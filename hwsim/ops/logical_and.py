"""LOGICAL_AND of two truth values, broadcast against each other."""

from typing import ClassVar

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere
from hwsim.ops._elementwise import broadcast_shape, sample_rows


class LogicalAnd(Op):
    """Source: LiteRT tflite/kernels/logical.cc; TFLM micro/kernels/logical.cc."""

    name = "logical_and"
    sources = {"tflite": "LOGICAL_AND"}
    options = TfliteOptions("LogicalAndOptions")
    rules = everywhere("logical", "bool")
    combine: ClassVar[np.ufunc] = np.logical_and

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        shape, combine = view.output().shape, self.combine

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            combine(first, second, out=outputs[0].reshape(outputs[0].shape[0], -1))

        return step


OP = LogicalAnd()
