"""Operators that only move codes: the values of the outputs are values of the inputs, in another order.

Source: LiteRT tflite/kernels, tflite-micro tensorflow/lite/micro/kernels: their kernels of these operators copy bytes.
"""

from collections.abc import Callable, Iterable

from hwsim.engines import Rule
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView, Tensor
from hwsim.ops._base import Arrays, Op, Shape, Step
from hwsim.ops._fixed import FixableStep, Fixed, in_turn
from hwsim.ops._vector_moves import moves

Mover = Callable[[Arrays], Arrays]
"""The outputs as views or copies of the inputs, all of shape (samples, *declared shape)."""


class Move(Op):
    """An operator that only moves codes."""

    def mover(self, view: NodeView) -> Mover:
        """What gives the outputs for the inputs."""
        raise NotImplementedError

    def depends_on_values(self, view: NodeView) -> bool:
        """Whether what moves where depends on computed values."""
        return False

    def bind(self, view: NodeView, rule: Rule) -> Step:
        move = self.mover(view)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            for out, value in zip(outputs, move(inputs), strict=True):
                out[...] = value

        if self.depends_on_values(view):
            return step

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            steps = moves(inputs, move(inputs), outputs)
            return None if steps is None else in_turn(*steps)

        return FixableStep(step, fixed)


def integers(view: NodeView, position: int, count: int, what: str) -> Shape:
    """The constant input at `position` as `count` integers."""
    values = view.constant(position).reshape(-1).tolist()
    if len(values) != count:
        raise ShapeError(f"{view.label}: {what} has {len(values)} values; expected {count}")
    return tuple(int(value) for value in values)


def axis_of(view: NodeView, axis: int, dimensions: int) -> int:
    """`axis` counted from the front, where negative ones count from the back; ShapeError where there is none such."""
    if not -dimensions <= axis < dimensions:
        raise ShapeError(f"{view.label}: axis is {axis}; must be in [{-dimensions}, {dimensions - 1}]")
    return axis % dimensions


def along(axis: int, part: slice) -> tuple[slice, ...]:
    """The index that takes `part` of `axis` of every sample."""
    return (*(slice(None),) * (axis + 1), part)


def outputs_expected(view: NodeView, option: str, outputs: int) -> None:
    """ShapeError where an option does not say how many outputs the node has."""
    if len(view.node.outputs) != outputs:
        raise ShapeError(f"{view.label}: {option} is {outputs}; expected {len(view.node.outputs)}, one per output")


def same_formats(view: NodeView, tensors: Iterable[Tensor]) -> None:
    """UnsupportedError where codes of `tensors` do not stand for the same real values as the output's."""
    output = view.output()
    for tensor in tensors:
        if (tensor.format is None) != (output.format is None) or (
            tensor.format is not None and not tensor.format.same_as(output.format)
        ):
            raise UnsupportedError(
                f"{view.label}: {tensor.name!r} has {tensor.format}, the output {output.format}; must be equal"
            )
