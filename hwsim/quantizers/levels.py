"""Codes behind a table: any set of levels, and the thresholds between them.

Code c stands for scale * table[c]; levels ascend with the codes. A value gets the code of the last threshold that it
reaches: code = number of thresholds t with value >= t. A threshold is the first float64 number that belongs to the
upper level; so where a format puts its thresholds says how it breaks ties.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.quantizers.granularity import PER_TENSOR, Granularity
from hwsim.quantizers.packing import packed_bytes

Reals = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """A fitted table of levels.

    Parameters
    ----------
    table : (slices, count), ascending; int64 where an engine can sum products of levels exactly, else float64
    scale : float64 (slices,), each > 0
    thresholds : float64 (slices, count - 1), ascending, in real values
    granularity : what shares a table and a scale
    """

    table: NDArray[Any]
    scale: Reals
    thresholds: Reals
    granularity: Granularity = PER_TENSOR

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return max(int(self.table.shape[1] - 1).bit_length(), 1)

    @property
    def levels(self) -> Reals:
        """What the codes stand for, (slices, count), ascending."""
        return self.table * self.scale[:, None]

    @property
    def is_integer(self) -> bool:
        """Whether products of levels can be summed in integers."""
        return bool(self.table.dtype.kind == "i")

    @property
    def entry_bits(self) -> int:
        """Bits of a table entry: what the largest integer takes, sign included; 32 for real ones, stored as float32."""
        if not self.is_integer:
            return 32
        low, high = int(self.table.min()), int(self.table.max())
        return max(high.bit_length() + (low < 0), (-low - 1).bit_length() + 1 if low < 0 else 1, 1)

    @property
    def table_bytes(self) -> int:
        """Bytes of the tables of all slices; slices whose tables are equal share one."""
        distinct = len(np.unique(self.table, axis=0))
        return packed_bytes(distinct * self.table.shape[1], self.entry_bits)

    def encode(self, values: NDArray[Any]) -> Codes:
        """The codes of `values`, int64 of the same shape; beyond the ends the end."""
        flat = np.ascontiguousarray(values, np.float64).reshape(-1)
        if np.isnan(flat).any():
            raise InputError("values hold NaN, which no level stands for")
        codes = np.empty(flat.size, np.int64)
        for part, thresholds in zip(self.granularity.members(values.shape), self.thresholds, strict=True):
            codes[part] = np.searchsorted(thresholds, flat[part], side="right")
        return codes.reshape(values.shape)

    def decode(self, codes: NDArray[Any]) -> Reals:
        """What `codes` stand for, float64."""
        decoded: Reals = self.levels[self.granularity.index(codes.shape), codes]
        return decoded

    def size_bytes(self, codes: NDArray[Any]) -> int:
        """Bytes of the codes, packed, of the tables, and of a float32 scale for each slice."""
        return packed_bytes(codes.size, self.bits) + self.table_bytes + 4 * self.scale.size

    def requantized(self, bits: int) -> "Levels":
        """The same codes with integer levels of an outer bit-width; thresholds stay.

        The largest magnitude of a slice becomes 2^(bits-1) - 1, or 2^bits - 1 where no level is negative; ties to even.
        LCQ (arXiv 2103.07156) takes 8.
        """
        signed = bool((self.table < 0).any())
        if not 1 + signed <= bits <= 16:
            raise InputError(f"outer bits is {bits}; expected {1 + signed} to 16")
        top = 2 ** (bits - signed) - 1
        largest = np.abs(self.table).max(axis=1).astype(np.float64)
        largest[largest == 0] = 1.0
        table = np.rint(self.table * (top / largest)[:, None]).astype(np.int64)
        return replace(self, table=table, scale=self.scale * largest / top)


def midpoints(levels: NDArray[Any]) -> Reals:
    """Thresholds half way between ascending `levels`, (slices, count).

    A tie goes to the level of smaller magnitude, and between two of one magnitude to the positive one.
    """
    levels = np.asarray(levels, np.float64)
    middle = levels[:, :-1] / 2 + levels[:, 1:] / 2
    stays = np.abs(levels[:, :-1]) < np.abs(levels[:, 1:])
    return np.where(stays, np.nextafter(middle, np.inf), middle)


def nearest(table: NDArray[Any], scale: Reals, granularity: Granularity = PER_TENSOR) -> Levels:
    """The format with these levels that takes each value to the nearest."""
    return Levels(table, scale, midpoints(table * scale[:, None]), granularity)


def fit_scales(
    values: NDArray[Any], grid: Sequence[float], granularity: Granularity = PER_TENSOR, *, steps: int = 30
) -> Reals:
    """For each slice the scale of a fixed ascending `grid` with the least squared error.

    Codes for a scale, the best scale for these codes (sum of value * level / sum of level squared), and again, from
    several starts; each half never raises the error. Returns float64 (slices,).
    """
    levels = np.asarray(grid, np.float64)
    return np.array([_fit_scale(part, levels, steps) for part in granularity.split(values)])


def _fit_scale(values: Reals, grid: Reals, steps: int) -> float:
    top = float(np.abs(values).max()) / float(np.abs(grid).max())
    if top == 0:
        return 1.0
    thresholds = midpoints(grid[None])[0]
    best, least = top, np.inf
    for shrink in (1.0, 0.85, 0.7, 0.55, 0.4, 0.3, 0.2, 0.1):
        scale = top * shrink
        for _ in range(steps):
            chosen = grid[np.searchsorted(thresholds, values / scale, side="right")]
            error = float(((scale * chosen - values) ** 2).sum())
            if error < least:
                best, least = scale, error
            power = float((chosen * chosen).sum())
            improved = float((values * chosen).sum()) / power if power else 0.0
            if improved == scale or not improved > 0:
                break
            scale = improved
    return best
