"""Nodes on fixed arrays: what a node prepares once for a program's arena, so that running it costs one short call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.vector_layers import KINDS, vector_layers

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
    of_signs : as `fixed`, of a layer whose first input's codes stand for -1 (0) and +1 (any other)
    """

    step: Callable[[Arrays, Arrays], None]
    fixed: Callable[[Arrays, Arrays], Fixed | None]
    of_signs: Callable[[Arrays, Arrays], Fixed | None] | None = None

    def __call__(self, inputs: Arrays, outputs: Arrays) -> None:
        self.step(inputs, outputs)


def fix(step: Callable[[Arrays, Arrays], None], inputs: Arrays, outputs: Arrays) -> Fixed:
    """`step` on these very arrays."""
    faster = None
    if isinstance(step, FixableStep):
        faster = step.fixed(inputs, outputs)
    return faster if faster is not None else partial(step, inputs, outputs)


class Held:
    """Arrays whose addresses a vector kernel holds, kept alive with it."""

    def __init__(self) -> None:
        self.arrays: list[Array] = []

    def place(self, array: Array) -> int:
        """The address of `array`, which must be contiguous."""
        assert array.flags.c_contiguous
        self.arrays.append(array)
        return int(array.ctypes.data)


class VectorLayers:
    """Layers of the vector kernels, run in one call: no Python between them, and no lock.

    kinds : names in `vector_layers.KINDS`; fields : the array that each one reads
    """

    def __init__(self, kinds: list[str], fields: list[NDArray[np.int64]], arrays: list[Array]) -> None:
        self.kinds, self.fields, self.arrays = kinds, fields, arrays
        self._numbers = np.array([KINDS[kind][0] for kind in kinds], np.int64)
        self._addresses = np.array([field.ctypes.data for field in fields], np.int64)
        self._sizes = np.array([field.size for field in fields], np.int64)

    def __call__(self) -> None:
        vector_layers(self._numbers, self._addresses, self._sizes)

    def __add__(self, other: "VectorLayers") -> "VectorLayers":
        return VectorLayers(self.kinds + other.kinds, self.fields + other.fields, self.arrays + other.arrays)


def vector_layer(kind: str, values: Mapping[str, int], held: Held) -> VectorLayers:
    """One layer: `values` of its fields by name, 0 where not given; `held` keeps what they point to."""
    return VectorLayers([kind], [numbers(KINDS[kind][1], values)], held.arrays)


@dataclass(frozen=True, slots=True)
class InTurn:
    """Several parts of one node, one after the other."""

    parts: Sequence[Fixed]

    def __call__(self) -> None:
        for part in self.parts:
            part()


def joined(steps: Sequence[Fixed]) -> list[Fixed]:
    """`steps` and their parts, with neighbouring vector layers made one call."""
    result: list[Fixed] = []
    for step in chain.from_iterable(each.parts if isinstance(each, InTurn) else (each,) for each in steps):
        last = result[-1] if result else None
        if isinstance(step, VectorLayers) and isinstance(last, VectorLayers):
            result[-1] = last + step
        else:
            result.append(step)
    return result


def in_turn(*parts: Fixed) -> Fixed:
    """All of `parts`, one after the other."""
    steps = joined(parts)
    return steps[0] if len(steps) == 1 else InTurn(steps)


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
