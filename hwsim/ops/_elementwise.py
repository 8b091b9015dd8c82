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
