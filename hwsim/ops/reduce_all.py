"""REDUCE_ALL over constant axes."""

from typing import Any

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Step, everywhere
from hwsim.ops._reduce import Reduction, reduced_axes


class ReduceAll(Reduction):
    """Whether all are true. Source: LiteRT tflite/kernels/reduce.cc."""

    name = "reduce_all"
    sources = {"tflite": "REDUCE_ALL"}
    rules = everywhere("logical", "bool", micro=("bool",))

    def bind(self, view: NodeView, rule: Rule) -> Step:
        axes = tuple(axis + 1 for axis in reduced_axes(view))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            found: Any = np.logical_and.reduce(inputs[0], axis=axes)
            outputs[0][...] = found.reshape(outputs[0].shape)

        return step


OP = ReduceAll()
