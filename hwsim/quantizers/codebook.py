"""Codebooks: levels found by k-means, for single weights.

Source: Han et al., Deep Compression (arXiv 1510.00149), which starts from equal steps over the range.
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

    An empty center stays where it is. Prefix sums make a step as cheap as `count` searches.
    """
    centers = np.linspace(ordered[0], ordered[-1], count)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    for _ in range(STEPS):
        ends = np.searchsorted(ordered, (centers[1:] + centers[:-1]) / 2)
        bounds = np.concatenate([[0], ends, [ordered.size]])
        members = np.diff(bounds)
        means = np.diff(sums[bounds]) / np.maximum(members, 1)
        moved = np.where(members > 0, means, centers)
        if np.array_equal(moved, centers):
            break
        centers = np.sort(moved)
    return centers
