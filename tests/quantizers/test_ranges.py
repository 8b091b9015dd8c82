from math import log

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.ranges import entropy, largest_percentile, min_max, percentile


def naive_divergence(counts, cut, levels):
    """KL divergence of Migacz's two histograms, bin by bin."""
    reference = list(counts[:cut])
    reference[-1] += sum(counts[cut:])
    copy = [0.0] * cut
    for level in range(levels):
        members = [i for i in range(cut) if i * levels // cut == level and counts[i]]
        for i in members:
            copy[i] = sum(counts[j] for j in members) / len(members)
    copy = [1e-4 if r and not c else c for r, c in zip(reference, copy, strict=True)]
    total, copied = sum(reference), sum(copy)
    return sum(r / total * log((r / total) / (c / copied)) for r, c in zip(reference, copy, strict=True) if r)


@pytest.mark.parametrize("seed", range(5))
def test_entropy_takes_the_cut_of_least_divergence(seed):
    values = np.random.default_rng(seed).standard_t(3, 2000)
    counts, edges = np.histogram(np.abs(values), 64, (0, np.abs(values).max()))
    scores = {cut: naive_divergence(counts.tolist(), cut, 8) for cut in range(8, 65)}
    found = entropy(values, 8, bins=64)
    best = min(scores.values())
    assert scores[int(np.argmin(np.abs(edges - found.high)))] <= best + 1e-12
    assert found.low == -found.high


def test_entropy_gives_outliers_up():
    values = np.append(np.random.default_rng(1).normal(0, 1, 50_000), 100.0)
    assert entropy(values, 128).high < 20


def test_entropy_of_few_bins_or_zeros_is_everything():
    assert entropy(np.zeros(5), 128) == (0.0, 0.0)
    assert entropy(np.array([-1.0, 2.0]), 128, bins=64) == (-2.0, 2.0)


def test_percentiles():
    values = np.arange(-50.0, 51.0)
    assert percentile(values, 90) == (-45.0, 45.0)
    assert percentile(values, 100) == min_max(values) == (-50.0, 50.0)
    assert largest_percentile(np.arange(101.0), 90) == (0.0, 90.0)
    with pytest.raises(InputError, match=r"^percent is 101; expected more than 0, at most 100$"):
        percentile(values, 101)
    with pytest.raises(InputError, match=r"^percent is 0; expected more than 0, at most 100$"):
        largest_percentile(values, 0)
