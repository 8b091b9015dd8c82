"""REDUCE_ANY over constant axes."""

from typing import Any

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Step, everywhere
from hwsim.ops._reduce import Reduction, reduced_axes


class ReduceAny(Reduction):
    """Whether any is true. Source: LiteRT tflite/kernels/reduce.cc."""

    name = "reduce_any"
    sources = {"tflite": "REDUCE_ANY"}
    rules = everywhere("logical", "bool", micro=())

    def bind(self, view: NodeView, rule: Rule) -> Step:
        axes = tuple(axis + 1 for axis in reduced_axes(view))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            found: Any = np.logical_or.reduce(inputs[0], axis=axes)
            outputs[0][...] = found.reshape(outputs[0].shape)

        return step


OP = ReduceAny()
