"""Ranges of sums and of pairs of products against plain Python integers."""

import numpy as np
import pytest

from hwsim.kernels.sum_ranges import widen_pair_ranges, widen_sum_ranges


def layer(shared, depth=5, rows=4, channels=3):
    g = np.random.default_rng(depth)
    values = g.integers(-255, 256, (rows, depth, 1 if shared else channels)).astype(np.int16)
    values[0, :2] = 0
    return values, g.integers(-128, 128, (depth, channels)).astype(np.int16), g.integers(-900, 900, channels)


def products(values, weights, row, channel):
    place = channel if values.shape[2] > 1 else 0
    return [int(v) * int(w) for v, w in zip(values[row, :, place], weights[:, channel], strict=True)]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_whole_and_partial_sums(shared, dtype):
    values, weights, bias = layer(shared)
    ends = np.iinfo(dtype)
    total = np.repeat(np.array([[ends.max], [ends.min]], dtype), 3, axis=1)
    running = np.stack([bias, bias]).astype(dtype)
    widen_sum_ranges(values, weights, bias.astype(dtype), total, running)
    for c in range(3):
        sums = [[int(bias[c])] for _ in range(4)]
        for row, partial in enumerate(sums):
            for product in products(values, weights, row, c):
                partial.append(partial[-1] + product)
        whole, every = [partial[-1] for partial in sums], [value for partial in sums for value in partial]
        assert total[:, c].tolist() == [min(whole), max(whole)]
        assert running[:, c].tolist() == [min(every), max(every)]


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("depth", [4, 5])
def test_pairs_of_neighbors_the_last_of_an_odd_number_alone(shared, depth):
    values, weights, _ = layer(shared, depth)
    pairs = np.zeros((2, 3), np.int64)
    widen_pair_ranges(values, weights, pairs)
    for c in range(3):
        found = [0]
        for row in range(4):
            terms = products(values, weights, row, c)
            found += [sum(terms[k : k + 2]) for k in range(0, depth, 2)]
        assert pairs[:, c].tolist() == [min(found), max(found)]
