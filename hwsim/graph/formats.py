"""Number formats: how integer codes stand for real values. Their mathematics is in `hwsim.quantizers`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import UnsupportedError
from hwsim.quantizers import levels as fitted
from hwsim.quantizers.granularity import Granularity
from hwsim.quantizers.grouped import GroupedScales


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Uniform codes, real = scale * (code - zero_point).

    Parameters
    ----------
    scale : float32 array, shape (1,) per tensor or (channels,) per channel; each > 0
    zero_point : int64 array, same shape, each within the tensor's dtype
    axis : the axis that `scale` runs along, or None per tensor
    bits : of a code where that is fewer than the dtype's, else None; files pack such codes
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int | None = None
    bits: int | None = None

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int = 0) -> "Affine":
        """A format with one scale for the whole tensor."""
        return cls(np.array([scale], np.float32), np.array([zero_point], np.int64))

    @classmethod
    def per_channel(cls, scale: NDArray[np.floating], axis: int) -> "Affine":
        """A symmetric format (zero point 0) with one scale per index of `axis`."""
        scales = np.asarray(scale, np.float32)
        return cls(scales, np.zeros(scales.shape, np.int64), axis)

    @property
    def is_per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return self.axis is not None and self.scale.size > 1

    def same_as(self, other: "Format | None") -> bool:
        """Whether both stand for exactly the same real values."""
        return (
            isinstance(other, Affine)
            and self.axis == other.axis
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    def __str__(self) -> str:
        if self.scale.size == 1:
            return f"scale {self.scale[0]:.9g}, zero_point {self.zero_point[0]}"
        return f"{self.scale.size} scales along axis {self.axis}"


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Codes behind a table, real = scale * table[code]; codes are held as uint8.

    Parameters
    ----------
    table : (slices, count), ascending, 2 <= count <= 2^bits; int32 where products of levels are summed as integers,
        else float32
    scale : float32 array, shape (slices,), each > 0
    bits : of a code, 1 to 8; files pack the codes
    axis : the axis that the slices run along, or None per tensor, which has one slice
    thresholds : float64 (slices, count - 1), ascending, or None for constants: the code of a real value is the number
        of thresholds that it reaches (value >= threshold)
    """

    table: NDArray[Any]
    scale: NDArray[np.float32]
    bits: int
    axis: int | None = None
    thresholds: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, form: "fitted.Levels") -> "Levels":
        """The format of codes that `form` encodes; UnsupportedError where its slices are no channels."""
        cut = form.granularity
        if cut.channels != 1 or cut.part is not None or form.bits > 8:
            raise UnsupportedError(
                f"levels of {form.bits} bits have slices {cut}; a graph holds up to 8 bits, per tensor or per channel"
            )
        table = form.table.astype(np.int32 if form.is_integer else np.float32)
        return cls(table, form.scale.astype(np.float32), form.bits, cut.axis, form.thresholds)

    @property
    def stored_table(self) -> NDArray[Any]:
        """The table as files and targets hold it: in the narrowest dtype, one row where all slices share it."""
        shared = len(self.table) > 1 and bool((self.table == self.table[0]).all())
        rows = self.table[:1] if shared else self.table
        if rows.dtype.kind == "f":
            return rows
        kinds = ("int8", "int16", "int32") if (rows < 0).any() else ("uint8", "uint16", "int32")
        fits = (kind for kind in kinds if np.iinfo(kind).min <= rows.min() and rows.max() <= np.iinfo(kind).max)
        return rows.astype(next(fits))

    @property
    def is_per_channel(self) -> bool:
        """Whether there is more than one table."""
        return self.axis is not None and len(self.table) > 1

    def same_as(self, other: "Format | None") -> bool:
        """Whether both stand for exactly the same real values, whatever their thresholds."""
        return (
            isinstance(other, Levels)
            and self.axis == other.axis
            and np.array_equal(self.table, other.table)
            and np.array_equal(self.scale, other.scale)
        )

    def __str__(self) -> str:
        tables = f", {len(self.table)} tables along axis {self.axis}" if self.is_per_channel else ""
        return f"{self.table.shape[1]} {self.table.dtype} levels behind {self.bits} bits{tables}"


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Signed codes with a small integer for each run of a channel, real = scale * multiplier * code (VS-Quant).

    Parameters
    ----------
    scale : float32 array, shape (channels,), each > 0
    multipliers : uint8 (channels, runs), each at least 1
    size : weights of a run, in C order of a channel; the last may have fewer
    bits : of a code, 2 to 8; files pack the codes
    axis : the axis of the channels
    """

    scale: NDArray[np.float32]
    multipliers: NDArray[np.uint8]
    size: int
    bits: int
    axis: int

    @classmethod
    def of(cls, form: GroupedScales) -> "Grouped":
        """The format of codes that `form` encodes."""
        cut = form.granularity
        assert cut.axis is not None and cut.part is not None
        scale, multipliers = form.scale.astype(np.float32), form.multipliers.astype(np.uint8)
        return cls(scale, multipliers, cut.part, form.bits, cut.axis)

    def spread(self, shape: tuple[int, ...]) -> NDArray[np.int16]:
        """The multiplier of every weight of a tensor of `shape`."""
        index = Granularity(self.axis, part=self.size).index(shape)
        each: NDArray[np.int16] = self.multipliers.astype(np.int16).reshape(-1)[index]
        return each

    @property
    def is_per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return self.scale.size > 1

    def same_as(self, other: "Format | None") -> bool:
        """Whether both stand for exactly the same real values."""
        return (
            isinstance(other, Grouped)
            and (self.axis, self.size) == (other.axis, other.size)
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.multipliers, other.multipliers)
        )

    def __str__(self) -> str:
        runs = f"{self.multipliers.shape[1]} integer multipliers each, for runs of {self.size}"
        return f"{self.scale.size} scales along axis {self.axis}, {runs}"


Format = Affine | Levels | Grouped
