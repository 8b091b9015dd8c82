"""Engines whose vector loop and scalar tail compute differently: which elements of a sample each one gets."""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Compute = Callable[[Array, Array], None]
"""Fills codes (samples, size) from values of the same shape."""


def body_and_tail(size: int, width: int, body: Compute, tail: Compute) -> Compute:
    """`body` on the whole vectors of `width` elements of each sample, `tail` on what is left over."""
    whole = size - size % width

    def run(values: Array, out: Array) -> None:
        for row, result in zip(values, out, strict=True):
            body(row[None, :whole], result[None, :whole])
            tail(row[None, whole:], result[None, whole:])

    return run
