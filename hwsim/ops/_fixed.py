"""Nodes on fixed arrays: what a node prepares once for a program's arena, so that running it costs one short call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Sequence[Array]
Fixed = Callable[[], None]

SLACK_BYTES = 64
"""Vector kernels may read this much beyond a tensor; arenas leave it free."""


@dataclass(frozen=True, slots=True)
class FixableStep:
    """A step that has a faster form where its arrays do not move.

    step : the portable form
    fixed : prepares the faster one, or gives None where these arrays do not allow it
    """

    step: Callable[[Arrays, Arrays], None]
    fixed: Callable[[Arrays, Arrays], Fixed | None]

    def __call__(self, inputs: Arrays, outputs: Arrays) -> None:
        self.step(inputs, outputs)


def fix(step: Callable[[Arrays, Arrays], None], inputs: Arrays, outputs: Arrays) -> Fixed:
    """`step` on these very arrays."""
    faster = step.fixed(inputs, outputs) if isinstance(step, FixableStep) else None
    return faster if faster is not None else partial(step, inputs, outputs)


class Held:
    """Arrays whose addresses a kernel holds, kept alive with it."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []

    def place(self, array: Array) -> int:
        """The address of `array`, which must be contiguous."""
        assert array.flags.c_contiguous
        self.arrays.append(array)
        return int(array.ctypes.data)

    def run(self, kernel: Callable[..., Any], fields: NDArray[np.int64]) -> Fixed:
        """`kernel` on `fields`, with every placed array alive as long as the callable is."""
        run = partial(kernel, fields)
        run.held = self.arrays  # type: ignore[attr-defined]
        return run


def in_turn(*parts: Fixed) -> Fixed:
    """All of `parts`, one after the other."""

    def run() -> None:
        for part in parts:
            part()

    return run


def numbers(fields: Sequence[str], values: Mapping[str, int]) -> NDArray[np.int64]:
    """The int64 array that a vector kernel reads, in the order of its `fields`; what is not given is 0."""
    unknown = set(values) - set(fields)
    assert not unknown, unknown
    return np.array([values.get(name, 0) for name in fields], np.int64)


def scratch(size_bytes: int) -> NDArray[np.int8]:
    """Uninitialized bytes at a multiple of 64, with slack behind them."""
    raw = np.empty(size_bytes + 2 * SLACK_BYTES, np.int8)
    start = -int(raw.ctypes.data) % SLACK_BYTES
    return raw[start : start + size_bytes + SLACK_BYTES]
