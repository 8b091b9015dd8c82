"""ARG_MAX: the first index of the largest code along one axis."""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere


class ArgMax(Op):
    """Raw codes are compared; among equals the first wins."""

    name = "arg_max"
    sources = {"tflite": "ARG_MAX"}
    options = TfliteOptions("ArgMaxOptions", {"output_type": "OutputType"})
    rules = everywhere("first", "int8", "uint8", "int32", "float32", micro=("int8", "float32"))
    choose: ClassVar[Callable[..., Any]] = staticmethod(np.argmax)

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axis = view.input(0).shape, _axis(view)
        return ((*shape[:axis], *shape[axis + 1 :]),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        axis = _axis(view) + 1

        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = self.choose(inputs[0], axis=axis)

        return step


def _axis(view: NodeView) -> int:
    axis, dimensions = int(view.constant(1).reshape(-1)[0]), len(view.input(0).shape)
    if not -dimensions <= axis < dimensions:
        raise ShapeError(f"{view.label}: axis is {axis}; must be in [{-dimensions}, {dimensions - 1}]")
    return axis % dimensions


OP = ArgMax()
