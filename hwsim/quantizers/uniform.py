"""Uniform codes: real = scale * (code - zero_point) + offset.

Sources: Gholami et al., A Survey of Quantization Methods (arXiv 2103.13630), section III; Bhalgat et al., LSQ+ (arXiv
2004.09576), whose `offset` is a real number of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError, unknown
from hwsim.quantizers.granularity import PER_TENSOR, Granularity
from hwsim.quantizers.packing import packed_bytes
from hwsim.quantizers.ranges import Range, entropy, largest_percentile, min_max, percentile
from hwsim.quantizers.rounding import Rounding, rounding

Reals = NDArray[np.float64]
Codes = NDArray[np.int64]

SHRINKS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2)
STEPS = 30
KINDS = ("restricted", "full", "unsigned", "affine", "offset")
METHODS = ("min_max", "percentile", "mse", "entropy")


@dataclass(frozen=True, slots=True, eq=False)
class Uniform:
    """Equal steps.

    Parameters
    ----------
    bits : of a code
    low, high : the smallest and largest code
    scale : float64 (slices,), each > 0
    zero_point : int64 (slices,), each in [low, high]: the code of 0 where `offset` is 0
    offset : float64 (slices,), LSQ+'s beta; 0 but for the kind 'offset'
    granularity : what shares a scale
    """

    bits: int
    low: int
    high: int
    scale: Reals
    zero_point: Codes
    offset: Reals
    granularity: Granularity = PER_TENSOR

    @classmethod
    def fit(
        cls,
        values: NDArray[Any],
        bits: int,
        *,
        kind: str = "restricted",
        method: str = "min_max",
        granularity: Granularity = PER_TENSOR,
        percent: float = 99.99,
    ) -> "Uniform":
        """The format of `kind` whose range `method` takes from `values`.

        Parameters
        ----------
        values : of any shape, finite
        bits : 2 to 16; 'unsigned', 'affine' and 'offset' also 1
        kind : 'restricted' (signed codes without the lowest, scale = largest magnitude / (2^(bits-1) - 1)); 'full'
            (all signed codes, scale = 2 * largest / (2^bits - 1)); 'unsigned' (values >= 0, zero point 0); 'affine'
            (codes 0 to 2^bits - 1 and an integer zero point, 0 is a code); 'offset' (the same codes and LSQ+'s real
            offset, so that no real value need be a code)
        method : 'min_max', 'percentile' of `percent`, 'mse' (least squared error, scale and offset jointly) or
            'entropy' (least KL divergence)
        granularity : what shares a scale; `PER_SAMPLE` makes the range dynamic
        """
        if kind not in KINDS or method not in METHODS:
            what, given, known = ("kind", kind, KINDS) if kind not in KINDS else ("method", method, METHODS)
            raise InputError(unknown(what, given, known))
        low, high = _codes(bits, kind)
        parts = granularity.split(values)
        fitted = [_fit(part, (low, high), kind, method, percent) for part in parts]
        scale, zero_point, offset = (np.array(column) for column in zip(*fitted, strict=True))
        return cls(bits, low, high, scale, zero_point.astype(np.int64), offset.astype(np.float64), granularity)

    @property
    def levels(self) -> Reals:
        """What the codes stand for, (slices, codes), ascending."""
        codes = np.arange(self.low, self.high + 1) - self.zero_point[:, None]
        return codes * self.scale[:, None] + self.offset[:, None]

    @property
    def table_bytes(self) -> int:
        """Bytes of look-up tables: none."""
        return 0

    def encode(self, values: NDArray[Any], round_by: str | Rounding = "half_even") -> Codes:
        """The codes of `values`, int64 of the same shape; beyond the ends the end."""
        shape, spread = values.shape, self.granularity.spread
        real = (values.astype(np.float64) - spread(self.offset, shape)) / spread(self.scale, shape)
        moved = rounding(round_by)(real) + spread(self.zero_point, shape)
        codes: Codes = np.clip(moved, self.low, self.high).astype(np.int64)
        return codes

    def decode(self, codes: NDArray[Any]) -> Reals:
        """What `codes` stand for, float64."""
        shape, spread = codes.shape, self.granularity.spread
        real: Reals = (codes - spread(self.zero_point, shape)) * spread(self.scale, shape) + spread(self.offset, shape)
        return real

    def size_bytes(self, codes: NDArray[Any]) -> int:
        """Bytes of the codes, packed, of a float32 scale and of the zero points and offsets that are not all 0."""
        extra = sum(4 * part.size for part in (self.zero_point, self.offset) if part.any())
        return packed_bytes(codes.size, self.bits) + 4 * self.scale.size + extra


def _codes(bits: int, kind: str) -> tuple[int, int]:
    signed = kind in ("restricted", "full")
    if not 1 + signed <= bits <= 16:
        raise InputError(f"bits is {bits}; expected {1 + signed} to 16 for a format of kind {kind!r}")
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + (kind == "restricted"), 2 ** (bits - 1) - 1


def _fit(values: Reals, ends: tuple[int, int], kind: str, method: str, percent: float) -> tuple[float, int, float]:
    """Scale, zero point and offset of one slice."""
    if kind == "unsigned" and values.min() < 0:
        raise InputError(f"the smallest value is {values.min():g}; a format of kind 'unsigned' holds none below 0")
    symmetric = kind in ("restricted", "full", "unsigned")
    if method == "mse":
        return _least_squares(values, ends, kind)
    if method == "entropy":
        found = entropy(values, ends[1] + 1 if symmetric else (ends[1] - ends[0] + 1))
        found = Range(max(found.low, float(values.min())), min(found.high, float(values.max())))
    elif method == "percentile":
        found = largest_percentile(values, percent) if symmetric else percentile(values, percent)
    else:
        found = min_max(values)
    return _of_range(found, ends, kind)


def _of_range(found: Range, ends: tuple[int, int], kind: str) -> tuple[float, int, float]:
    low, high = ends
    if kind in ("restricted", "full", "unsigned"):
        largest = max(-found.low, found.high)
        steps = (high - low) / 2 if kind == "full" else high
        return (largest or 1.0) / steps, 0, 0.0
    if kind == "offset":
        scale = (found.high - found.low) / (high - low) or 1.0
        return scale, 0, found.low
    bottom, top = min(found.low, 0.0), max(found.high, 0.0)
    scale = (top - bottom) / (high - low) or 1.0
    return scale, int(np.clip(np.rint(low - bottom / scale), low, high)), 0.0


def _least_squares(values: Reals, ends: tuple[int, int], kind: str) -> tuple[float, int, float]:
    """Codes for a scale, the best scale (and offset) for these codes, and again, from several starts.

    Each half never raises the squared error, so that every start ends in a local least.
    """
    improvers: dict[str, Callable[[Reals, Codes], tuple[float, int, float]]] = {
        "offset": _regress,
        "affine": partial(_regress_integer, ends),
    }
    improve = improvers.get(kind, _regress_scale)
    best, least = _of_range(min_max(values), ends, kind), np.inf
    for shrink in SHRINKS:
        low, high = min_max(values)
        parameters = _of_range(Range(low * shrink, high * shrink), ends, kind)
        for _ in range(STEPS):
            codes, error = _error(values, ends, parameters)
            if error < least:
                best, least = parameters, error
            improved = improve(values, codes)
            if improved == parameters or not improved[0] > 0:
                break
            parameters = improved
    return best


def _error(values: Reals, ends: tuple[int, int], parameters: tuple[float, int, float]) -> tuple[Codes, float]:
    scale, zero_point, offset = parameters
    codes = np.clip(np.rint((values - offset) / scale) + zero_point, *ends)
    return codes.astype(np.int64), float(((scale * (codes - zero_point) + offset - values) ** 2).sum())


def _regress_scale(values: Reals, codes: Codes) -> tuple[float, int, float]:
    power = float((codes * codes).sum())
    return (float((values * codes).sum()) / power if power else 0.0), 0, 0.0


def _regress(values: Reals, codes: Codes) -> tuple[float, int, float]:
    centered = codes - codes.mean()
    power = float((centered * centered).sum())
    scale = float((values * centered).sum()) / power if power else 0.0
    return scale, 0, float(values.mean() - scale * codes.mean())


def _regress_integer(ends: tuple[int, int], values: Reals, codes: Codes) -> tuple[float, int, float]:
    """As `_regress` with the zero point rounded, then the best scale for that zero point."""
    scale, _, offset = _regress(values, codes)
    if not scale > 0:
        return 0.0, 0, 0.0
    zero_point = int(np.clip(np.rint(-offset / scale), *ends))
    return _regress_scale(values, codes - zero_point)[0], zero_point, 0.0
