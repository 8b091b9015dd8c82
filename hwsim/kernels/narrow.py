"""Accumulators of few bits, where the order of the sum counts: bias first, then products k = 0, 1, 2, ... one by one.

Every partial sum is brought into [-2^(bits-1), 2^(bits-1)): by wrapping, whose result does not depend on the order, or
by saturating, whose result does. `matmul.accumulate_int16_pairs` is x86's own mode, pairs of products at 16 bits.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp


@kernel
def wrap(value, bits):
    """`value` modulo 2^bits, in [-2^(bits-1), 2^(bits-1)). bits : 2 to 32."""
    half = np.int64(1) << np.int64(bits - 1)
    return ((np.int64(value) + half) & (half + half - np.int64(1))) - half


@kernel
def accumulate_wrapping(rows, weights, bias, bits, out):
    """out[p, c] = bias[c] + sum over k of rows[p, k] * weights[c, k], modulo 2^bits.

    rows : int16 (pixels, depth); weights : int16 (channels, depth); bias : int32 (channels,); out : int32
    """
    for p in range(rows.shape[0]):
        for c in range(weights.shape[0]):
            total = np.int64(bias[c])
            for k in range(weights.shape[1]):
                total += np.int64(rows[p, k]) * np.int64(weights[c, k])
            out[p, c] = np.int32(wrap(total, bits))


@kernel
def accumulate_saturating(rows, weights, bias, bits, out):
    """As `accumulate_wrapping`, each partial sum, the bias too, limited to `bits` bits."""
    high = (np.int64(1) << np.int64(bits - 1)) - np.int64(1)
    low = -high - np.int64(1)
    for p in range(rows.shape[0]):
        for c in range(weights.shape[0]):
            total = clamp(np.int64(bias[c]), low, high)
            for k in range(weights.shape[1]):
                total = clamp(total + np.int64(rows[p, k]) * np.int64(weights[c, k]), low, high)
            out[p, c] = np.int32(total)
