"""REDUCE_MAX over constant axes."""

from typing import ClassVar

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Step, everywhere
from hwsim.ops._moves import same_formats
from hwsim.ops._reduce import Reduction, reduced_axes


class ReduceMax(Reduction):
    """Raw codes are compared, so input and output must have one number format.

    Source: LiteRT tflite/kernels/reduce.cc; TFLM micro/kernels/reduce_common.cc.
    """

    name = "reduce_max"
    sources = {"tflite": "REDUCE_MAX"}
    rules = everywhere("raw", "int8", "uint8", "int16", "int32", "int64", "float32", micro=("int8", "float32"))
    choose: ClassVar[np.ufunc] = np.maximum

    def bind(self, view: NodeView, rule: Rule) -> Step:
        same_formats(view, [view.input(0)])
        axes, choose = tuple(axis + 1 for axis in reduced_axes(view)), self.choose

        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = choose.reduce(inputs[0], axis=axes).reshape(outputs[0].shape)

        return step


OP = ReduceMax()
