"""Codebooks: levels found by k-means, for single weights.

Source: Han et al., Deep Compression (arXiv 1510.00149), which found equal steps over the range the best start.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.quantizers.granularity import PER_TENSOR, Granularity
from hwsim.quantizers.levels import Levels, nearest

Reals = NDArray[np.float64]
STEPS = 100


def codebook(values: NDArray[Any], bits: int, *, granularity: Granularity = PER_TENSOR) -> Levels:
    """2^bits levels of least squared error (k-means on the line, to a local least), relative to each slice's largest.

    bits : 1 to 8
    """
    if not 1 <= bits <= 8:
        raise InputError(f"bits is {bits}; expected 1 to 8")
    tables = np.array([kmeans_line(np.sort(part), 2**bits) for part in granularity.split(values)])
    scale = np.abs(tables).max(axis=1)
    scale[scale == 0] = 1.0
    return nearest(tables / scale[:, None], scale, granularity)


def kmeans_line(ordered: Reals, count: int) -> Reals:
    """`count` ascending centers of `ordered`, ascending values: each the mean of those nearest to it.

    From equal steps over the range and from equal numbers of values, whichever ends with the smaller error.
    """
    starts = np.linspace(ordered[0], ordered[-1], count), np.quantile(ordered, (np.arange(count) + 0.5) / count)
    found = [_lloyd(ordered, centers) for centers in starts]
    return min(found, key=lambda centers: _squared_error(ordered, centers))


def _lloyd(ordered: Reals, centers: Reals) -> Reals:
    """Lloyd's steps; an empty center stays where it is. Prefix sums make a step as cheap as a few searches."""
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(STEPS):
        bounds = np.concatenate([[0], _ends(ordered, centers), [ordered.size]])
        members = np.diff(bounds)
        means = np.diff(sums[bounds]) / np.maximum(members, 1)
        moved = np.sort(np.where(members > 0, means, centers))
        if np.array_equal(moved, centers):
            break
        centers = moved
    return centers


def _ends(ordered: Reals, centers: Reals) -> NDArray[np.int64]:
    """Where the values of each center but the last end."""
    return np.searchsorted(ordered, (centers[1:] + centers[:-1]) / 2)


def _squared_error(ordered: Reals, centers: Reals) -> float:
    members = np.diff(np.concatenate([[0], _ends(ordered, centers), [ordered.size]]))
    return float(((ordered - np.repeat(centers, members)) ** 2).sum())
