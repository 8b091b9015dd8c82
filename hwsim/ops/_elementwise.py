"""Operands of elementwise operators: broadcast to the output and seen as rows of one sample each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape


def broadcast_shape(view: NodeView) -> Shape:
    """The shape that both inputs broadcast to."""
    first, second = view.input(0).shape, view.input(1).shape
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        raise ShapeError(f"{view.label}: inputs {list(first)} and {list(second)} do not broadcast") from None


def sample_rows(array: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """(samples, *declared) broadcast to (samples, size of `shape`), contiguous."""
    samples, declared = array.shape[0], array.shape[1:]
    if declared != shape:
        padded = array.reshape(samples, *(1,) * (len(shape) - len(declared)), *declared)
        array = np.broadcast_to(padded, (samples, *shape))
    return np.ascontiguousarray(array).reshape(samples, -1)


def broadcast_folds(view: NodeView) -> list[int]:
    """The innermost axes as five loops: equal, of one input only, equal, of the other only, equal; all 1 if not so.

    LiteRT's vector bodies take the first of them that is not 1 at a time: of both inputs, or of one against one code.
    Source: TFLite internal/reference/process_broadcast_shapes.h, ProcessBroadcastShapes.
    """
    first, second = view.input(0).shape, view.input(1).shape
    dimensions = max(len(first), len(second))
    padded = [(1,) * (dimensions - len(shape)) + shape for shape in (first, second)]
    pairs = list(zip(reversed(padded[0]), reversed(padded[1]), strict=True))
    unequal = [pair for pair in pairs if pair[0] != pair[1]]
    if unequal and unequal[0][0] != 1:
        pairs = [(one, other) for other, one in pairs]
    folds = [1, 1, 1, 1, 1]
    for fold, belongs in enumerate((_equal, _first_is_one, _equal, _second_is_one, _equal)):
        while pairs and belongs(*pairs[0]):
            folds[fold] *= max(pairs.pop(0))
    return [1, 1, 1, 1, 1] if pairs else folds


def _equal(first: int, second: int) -> bool:
    return first == second


def _first_is_one(first: int, second: int) -> bool:  # noqa: ARG001
    return first == 1


def _second_is_one(first: int, second: int) -> bool:  # noqa: ARG001
    return second == 1
