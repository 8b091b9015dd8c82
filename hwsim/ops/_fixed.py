"""Layers on fixed arrays: what a node prepares once for a program's arena, so that running it costs one short call."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SLACK_BYTES = 64
"""Vector kernels may read this much beyond a tensor; arenas leave it free."""


def address(array: Array) -> int:
    """Where an array's first element lies."""
    return int(array.ctypes.data)


def numbers(fields: Sequence[str], values: Mapping[str, int]) -> NDArray[np.int64]:
    """The int64 array that a vector kernel reads, in the order of its `fields`; what is not given is 0."""
    unknown = set(values) - set(fields)
    if unknown:
        raise KeyError(f"unknown fields {sorted(unknown)}")
    return np.array([values.get(name, 0) for name in fields], np.int64)


def scratch(size_bytes: int) -> NDArray[np.int8]:
    """Uninitialized bytes with slack behind them, at a multiple of 64."""
    raw = np.empty(size_bytes + 2 * SLACK_BYTES, np.int8)
    start = -address(raw) % SLACK_BYTES
    return raw[start : start + size_bytes + SLACK_BYTES]
