"""The larger or the smaller of two codes."""

from typing import ClassVar

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions
from hwsim.ops._elementwise import broadcast_shape, sample_rows
from hwsim.ops._fixed import FixableStep, Fixed, in_turn
from hwsim.ops._moves import same_formats
from hwsim.ops._vector_elementwise import vector_choice
from hwsim.ops._vector_layer import fits
from hwsim.ops._vector_moves import operands

CHOSEN = ("int8", "uint8", "int16", "int32", "int64", "float32")


class Choice(Op):
    """Raw codes are compared, so both inputs and the output must have one number format.

    Source: TFLite reference/maximum_minimum.h.
    """

    options = TfliteOptions("MaximumMinimumOptions")
    choose: ClassVar[np.ufunc]

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        same_formats(view, [view.input(0), view.input(1)])
        shape, choose = view.output().shape, self.choose

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            choose(first, second, out=outputs[0].reshape(outputs[0].shape[0], -1))

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if not fits(outputs[0], outputs[0]):
                return None
            inputs, before = operands(inputs, shape)
            return in_turn(*before, vector_choice(choose is np.minimum, inputs, outputs[0]))

        return FixableStep(step, fixed)
