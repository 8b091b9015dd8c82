"""The smallest and largest sums of a layer, exactly, in the order of `narrow`: bias first, then products one by one.

Rows hold what is multiplied, int16 (rows, depth, 1) where all channels sum over the same values, or (rows, depth,
channels) where each has its own; weights are int16 (depth, channels). The sums are bias[c] + sum over k of
rows[p, k, c] * weights[k, c].
"""

import numpy as np

from hwsim.kernels import kernel


@kernel
def widen_sum_ranges(rows, weights, bias, total, running):
    """Widen `total` and `running` by the sums of every row.

    bias : int32 or int64 (channels,), in a dtype that holds every partial sum
    total, running : bias's dtype, (2, channels): the smallest and largest whole sum, and partial sum, bias included
    """
    channels, shared = weights.shape[1], rows.shape[2] == 1
    sums = np.empty_like(bias)
    low, high = running[0], running[1]
    for p in range(rows.shape[0]):
        for c in range(channels):
            sums[c] = bias[c]
            low[c] = min(low[c], sums[c])
            high[c] = max(high[c], sums[c])
        for k in range(weights.shape[0]):
            if shared:
                value = np.int32(rows[p, k, 0])
                if value == 0:
                    continue
                for c in range(channels):
                    sums[c] += value * np.int32(weights[k, c])
                    low[c] = min(low[c], sums[c])
                    high[c] = max(high[c], sums[c])
            else:
                for c in range(channels):
                    sums[c] += np.int32(rows[p, k, c]) * np.int32(weights[k, c])
                    low[c] = min(low[c], sums[c])
                    high[c] = max(high[c], sums[c])
        for c in range(channels):
            total[0, c] = min(total[0, c], sums[c])
            total[1, c] = max(total[1, c], sums[c])


@kernel
def widen_pair_ranges(rows, weights, pairs):
    """Widen `pairs`, int64 (2, channels), by the sums of two neighbouring products, k = 0 and 1, 2 and 3, ..."""
    depth, step = weights.shape[0], min(rows.shape[2] - 1, 1)
    for p in range(rows.shape[0]):
        for k in range(0, depth, 2):
            for c in range(weights.shape[1]):
                pair = np.int64(rows[p, k, c * step]) * np.int64(weights[k, c])
                if k + 1 < depth:
                    pair += np.int64(rows[p, k + 1, c * step]) * np.int64(weights[k + 1, c])
                pairs[0, c] = min(pairs[0, c], pair)
                pairs[1, c] = max(pairs[1, c], pair)
