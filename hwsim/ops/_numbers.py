"""Operators on plain numbers, which stand between the layers of a network: int32, int64 and float32 without a scale.

Each is one IEEE or integer operation for every element, so that all engines that have it agree to the last bit.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import InputError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step
from hwsim.ops._elementwise import broadcast_shape, sample_rows

Array = NDArray[Any]


class NumberFunction(Op):
    """A function of one number, the same for every element."""

    def function(self, x: Array) -> Any:
        """The function of every element."""
        raise NotImplementedError

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        def step(inputs: Arrays, outputs: Arrays) -> None:
            with np.errstate(all="ignore"):  # as C: infinite, or no number
                outputs[0][...] = self.function(inputs[0])

        return step


class NumberPair(Op):
    """A function of two numbers, broadcast against each other."""

    def function(self, first: Array, second: Array) -> Any:
        """The function of every pair."""
        raise NotImplementedError

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        shape = view.output().shape

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            refuse_zero_divisor(view, second)
            with np.errstate(all="ignore"):
                outputs[0][...] = self.function(first, second).reshape(outputs[0].shape)

        return step


def refuse_zero_divisor(view: NodeView, divisor: Array) -> None:
    """InputError where something is divided by 0: engines stop there, or crash."""
    if not divisor.all():
        raise InputError(f"{view.label}: divides by 0, for which no engine has a result")


def toward_zero(first: Array, second: Any) -> Array:
    """The quotient of integers, rounded toward zero as C does."""
    down = np.floor_divide(first, second)
    return np.asarray(down + ((down * second != first) & ((first < 0) != (second < 0))), first.dtype)
