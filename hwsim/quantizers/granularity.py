"""How a tensor is divided into slices that each have their own scale, or their own table of levels.

Source of the words: Gholami et al., A Survey of Quantization Methods, 2021 (arXiv 2103.13630), section III.E.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Granularity:
    """A division into slices.

    Parameters
    ----------
    axis : the axis of the channels; None makes the whole tensor one slice
    channels : so many neighbouring channels share a slice (group-wise where more than 1); the last may be fewer
    part : each channel is cut into runs of so many values, in C order of the other axes (sub-channel-wise); the last
        may be shorter. None leaves channels whole. Only with `channels` 1.
    """

    axis: int | None = None
    channels: int = 1
    part: int | None = None

    def __post_init__(self) -> None:
        if self.channels < 1 or (self.part is not None and self.part < 1):
            raise InputError(f"granularity has {self.channels} channels, parts of {self.part}; expected at least 1")
        if self.part is not None and (self.axis is None or self.channels > 1):
            raise InputError("parts of a channel need an axis, and one channel each")

    def count(self, shape: Shape) -> int:
        """How many slices a tensor of `shape` has."""
        if self.axis is None:
            return 1
        size = self._size(shape)
        if self.part is None:
            return -(-size // self.channels)
        return size * self._parts(shape)

    def index(self, shape: Shape) -> NDArray[np.int64]:
        """The number of each element's slice, an array of `shape`."""
        if self.axis is None:
            return np.zeros(shape, np.int64)
        size = self._size(shape)
        channel = np.arange(size)[:, None]
        rest = prod(shape) // max(size, 1)
        if self.part is None:
            numbers = np.broadcast_to(channel // self.channels, (size, rest))
        else:
            numbers = channel * self._parts(shape) + np.arange(rest) // self.part
        others = [n for i, n in enumerate(shape) if i != self.axis % len(shape)]
        return np.moveaxis(numbers.reshape(size, *others), 0, self.axis)

    def spread(self, parameters: NDArray[Any], shape: Shape) -> NDArray[Any]:
        """One parameter for each slice as an array that broadcasts with a tensor of `shape`."""
        if self.axis is None:
            return parameters.reshape(())
        if self.part is None and self.channels == 1:
            return parameters.reshape([-1 if i == self.axis % len(shape) else 1 for i in range(len(shape))])
        spread: NDArray[Any] = parameters[self.index(shape)]
        return spread

    def members(self, shape: Shape) -> Iterator[NDArray[np.int64]]:
        """For each slice the positions of its elements in the flattened tensor."""
        numbers = self.index(shape).reshape(-1)
        order = np.argsort(numbers, kind="stable")
        ends = np.cumsum(np.bincount(numbers, minlength=self.count(shape)))
        start = 0
        for end in ends:
            yield order[start:end]
            start = int(end)

    def split(self, values: NDArray[Any]) -> list[NDArray[np.float64]]:
        """The values of each slice, float64; InputError where one is empty or not finite."""
        flat = np.ascontiguousarray(values, np.float64).reshape(-1)
        if not flat.size or not np.isfinite(flat).all():
            raise InputError(f"values of shape {list(values.shape)} are empty or not finite; a range needs finite ones")
        return [flat[part] for part in self.members(values.shape)]

    def _size(self, shape: Shape) -> int:
        assert self.axis is not None
        if not -len(shape) <= self.axis < len(shape):
            raise InputError(f"granularity has axis {self.axis}; the tensor's shape is {list(shape)}")
        return shape[self.axis]

    def _parts(self, shape: Shape) -> int:
        assert self.part is not None
        return -(-(prod(shape) // max(self._size(shape), 1)) // self.part)


PER_TENSOR = Granularity()
PER_SAMPLE = Granularity(axis=0)
"""Dynamic ranges: fitting with it gives every input, along axis 0, its own."""


def per_channel(axis: int) -> Granularity:
    """A slice for each channel along `axis`."""
    return Granularity(axis)


def per_group(axis: int, channels: int) -> Granularity:
    """A slice for every `channels` neighbouring channels along `axis`."""
    return Granularity(axis, channels)


def per_part(axis: int, part: int) -> Granularity:
    """A slice for every `part` values of a channel along `axis`."""
    return Granularity(axis, part=part)
