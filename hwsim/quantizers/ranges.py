"""Static ranges: from values that were seen to the interval that codes should cover.

Every function takes the values of one slice, float64 (count,), finite, and gives (low, high) with low <= high.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError

Reals = NDArray[np.float64]
HISTOGRAM_BINS = 2048
EMPTY_BIN = 1e-4
"""Values counted in a last bin that holds nothing but outliers, whose divergence would be infinite; Apache MXNet, which
smooths both histograms, takes the same number.
"""


class Range(NamedTuple):
    """An interval of real values."""

    low: float
    high: float


def min_max(values: Reals) -> Range:
    """Everything that was seen."""
    return Range(float(values.min()), float(values.max()))


def percentile(values: Reals, percent: float = 99.99) -> Range:
    """The middle `percent` of the values, 0 to 100: outliers are given up at both ends alike."""
    if not 0 < percent <= 100:
        raise InputError(f"percent is {percent:g}; expected more than 0, at most 100")
    rest = (100 - percent) / 2
    low, high = np.percentile(values, [rest, 100 - rest])
    return Range(float(low), float(high))


def largest_percentile(values: Reals, percent: float = 99.99) -> Range:
    """The smallest interval around zero that holds `percent` of the magnitudes, for symmetric formats."""
    if not 0 < percent <= 100:
        raise InputError(f"percent is {percent:g}; expected more than 0, at most 100")
    edge = float(np.percentile(np.abs(values), percent))
    return Range(-edge if values.min() < 0 else 0.0, edge)


def entropy(values: Reals, levels: int, bins: int = HISTOGRAM_BINS) -> Range:
    """The range around zero, or above it, whose quantized histogram loses the least information (KL divergence).

    A histogram of magnitudes is cut at each of `bins - levels + 1` places; what lies beyond falls into the last bin;
    the rest is merged into `levels` bins and spread back over those that were not empty. The cut with the smallest
    divergence from the one to the other wins.

    levels : magnitudes that the format has, 128 for int8

    Source: Migacz, 8-bit Inference with TensorRT, GTC 2017.
    """
    magnitudes = np.abs(values)
    top = float(magnitudes.max())
    if top == 0 or levels >= bins:
        return Range(-top if values.min() < 0 else 0.0, top)
    counts, edges = np.histogram(magnitudes, bins, (0.0, top))
    scores = [_divergence(counts, cut, levels) for cut in range(levels, bins + 1)]
    edge = float(edges[levels + int(np.argmin(scores))])
    return Range(-edge if values.min() < 0 else 0.0, edge)


def _divergence(counts: NDArray[np.int64], cut: int, levels: int) -> float:
    """KL divergence of the first `cut` bins, outliers in the last, from their copy with `levels` levels."""
    inside = counts[:cut].astype(np.float64)
    reference = inside.copy()
    reference[-1] += counts[cut:].sum()
    level = np.minimum(np.arange(cut) * levels // cut, levels - 1)
    filled = inside > 0
    totals = np.bincount(level, inside, levels)
    members = np.bincount(level, filled, levels)
    means = np.divide(totals, members, out=np.zeros(levels), where=members > 0)
    used = reference > 0
    copy = np.where(filled, means[level], np.where(used, EMPTY_BIN, 0.0))
    p, q = reference / reference.sum(), copy / copy.sum()
    return float((p[used] * np.log(p[used] / q[used])).sum())
