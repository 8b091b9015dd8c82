"""Powers of two, sums of them, and logarithmic levels: weights whose products are shifts and adds.

Sources: Zhou et al., INQ (arXiv 1702.03044); Li et al., Additive Powers-of-Two Quantization (arXiv 1909.13144) and its
code, yhhhli/APoT_Quantization; Miyashita et al., Logarithmic Data Representation (arXiv 1603.01025).
"""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.quantizers.granularity import PER_TENSOR, Granularity
from hwsim.quantizers.levels import Levels, fit_scales, nearest

Reals = NDArray[np.float64]

_SETS: dict[int, tuple[tuple[int, ...], ...]] = {
    2: ((1, 2, 3),),
    3: ((1, 2, 4), (3,)),
    4: ((1, 3, 5), (2, 4, 6)),
    5: ((1, 3, 6), (2, 4, 7), (5,)),
    6: ((1, 4, 7), (2, 5, 8), (3, 6, 9)),
}
"""For each number of magnitude bits the sets of negative exponents, each beside 0, that a level takes one of."""


def powers_of_two(
    values: NDArray[Any], bits: int, *, signed: bool = True, granularity: Granularity = PER_TENSOR
) -> Levels:
    """Levels 0 and +-scale * 2^i for i in 0 to 2^B - 2 (B = bits - 1, or bits where unsigned), fitted by least squares.

    bits : 2 to 5 signed, 1 to 4 unsigned: a level of more takes over 14 shifts, which no integer datapath has
    """
    magnitude = _magnitude_bits(bits, signed, 1, 4)
    return _fitted(values, [0, *(1 << i for i in range(2**magnitude - 1))], signed, granularity)


def additive_powers_of_two(
    values: NDArray[Any], bits: int, *, signed: bool = True, granularity: Granularity = PER_TENSOR
) -> Levels:
    """Levels that are sums of two or three powers of two (APoT), fitted by least squares.

    bits : 2 to 7 signed, 1 to 6 unsigned; with 1 magnitude bit the levels are 0 and the scale, as for uniform codes.
    Ties between levels go to the smaller magnitude; the authors' code leaves them to the order of a Python set.
    """
    return _fitted(values, apot_magnitudes(_magnitude_bits(bits, signed, 1, 6)), signed, granularity)


def apot_magnitudes(bits: int) -> list[int]:
    """The magnitudes of APoT as integers: all sums, in units of the smallest power of two."""
    if bits == 1:
        return [0, 1]
    sets = _SETS[bits]
    furthest = max(max(exponents) for exponents in sets)
    terms = [[0, *(1 << (furthest - e) for e in exponents)] for exponents in sets]
    return _reduced(sorted({sum(chosen) for chosen in product(*terms)}))


def logarithmic(
    values: NDArray[Any], bits: int, *, base: float = 2.0, signed: bool = True, granularity: Granularity = PER_TENSOR
) -> Levels:
    """Levels 0 and +-largest / base^i, rounded in the logarithm: thresholds are geometric means of their levels.

    Half a step below the smallest level values become 0; ties go to the larger magnitude. The largest level is the
    power of `base` nearest, in the logarithm, to the slice's largest magnitude. The paper has 2 and its square root.
    """
    magnitude = _magnitude_bits(bits, signed, 1, 8)
    if not base > 1:
        raise InputError(f"base is {base:g}; expected more than 1")
    largest = np.array([np.abs(part).max() or 1.0 for part in granularity.split(values)])
    scale = np.power(base, np.ceil(np.log(largest) / np.log(base) - 0.5))
    steps = np.power(base, -np.arange(2**magnitude - 2, -1, -1.0))
    table = np.concatenate([-steps[::-1], [0.0], steps]) if signed else np.concatenate([[0.0], steps])
    edges = scale[:, None] * (steps / np.sqrt(base))
    thresholds = np.concatenate([np.nextafter(-edges[:, ::-1], np.inf), edges], axis=1) if signed else edges
    tables = np.tile(table, (scale.size, 1))
    return Levels(tables, scale, thresholds, granularity)


def terms_of(table: NDArray[np.int64], most: int = 3) -> NDArray[np.int64]:
    """Each integer level as a sum of powers of two for a shift-add datapath.

    table : int64 (count,), of magnitudes with at most `most` bits set

    Returns int64 (count, 1 + most): the sign (-1, 0, 1), then the shifts, -1 where there is no further term.
    """
    rows = np.full((len(table), 1 + most), -1, np.int64)
    for row, level in zip(rows, table.tolist(), strict=True):
        shifts = [bit for bit in range(abs(level).bit_length()) if abs(level) >> bit & 1]
        if len(shifts) > most:
            raise InputError(f"level {level} is a sum of {len(shifts)} powers of two; expected at most {most}")
        row[0] = (level > 0) - (level < 0)
        row[1 : 1 + len(shifts)] = shifts
    return rows


def _fitted(values: NDArray[Any], magnitudes: list[int], signed: bool, granularity: Granularity) -> Levels:
    grid = [-m for m in magnitudes[:0:-1]] + magnitudes if signed else magnitudes
    scale = fit_scales(values, grid, granularity)
    return nearest(np.tile(np.array(grid, np.int64), (scale.size, 1)), scale, granularity)


def _magnitude_bits(bits: int, signed: bool, least: int, most: int) -> int:
    if not least + signed <= bits <= most + signed:
        raise InputError(f"bits is {bits}; expected {least + signed} to {most + signed}")
    return bits - signed


def _reduced(magnitudes: list[int]) -> list[int]:
    """Without a common factor of two."""
    shift = min((m & -m).bit_length() - 1 for m in magnitudes if m)
    return [m >> shift for m in magnitudes]
