"""Products out of a table indexed by a weight's and an activation's code, and what is equal to it.

Source: LCQ (arXiv 2103.07156), section on inference. A table of products of two tables of levels, which all published
ones are, gives the same sums as levels decoded first and multiplied: `decode`, then `matmul.accumulate`.
"""

import numpy as np

from hwsim.kernels import kernel


@kernel
def product_lookup(rows, weights, table, out):
    """out[p, c] = sum over k of table[weights[c, k], rows[p, k]], a look-up for every product.

    rows : uint8 (pixels, depth); weights : uint8 (channels, depth); table : int32 (weight codes, activation codes), of
        any numbers; out : int32 (pixels, channels), which the sums must fit
    """
    for p in range(rows.shape[0]):
        for c in range(weights.shape[0]):
            total = np.int64(0)
            for k in range(weights.shape[1]):
                total += np.int64(table[np.int64(weights[c, k]), np.int64(rows[p, k])])
            out[p, c] = np.int32(total)


@kernel
def product_rows(weights, table, out):
    """The rows that turn `product_lookup` into `partial_sums.sum_rows`: out[k, a, c] = table[weights[c, k], a].

    weights, table : as in `product_lookup`; out : int16 or int32 (depth, activation codes, channels)
    """
    for k in range(out.shape[0]):
        for a in range(out.shape[1]):
            for c in range(out.shape[2]):
                out[k, a, c] = table[np.int64(weights[c, k]), a]


@kernel
def decode(codes, levels, out):
    """out = levels[code]. codes : uint8 (rows, depth); levels : int16 (count,); out : int16 (rows, depth)."""
    for r in range(codes.shape[0]):
        for k in range(codes.shape[1]):
            out[r, k] = levels[np.int64(codes[r, k])]
