"""Weights as planes of bits: each four activations have a table of the sums of their subsets, looked up by plane.

Every sum is exact. T-MAC itself rounds its tables to 8 bits and may average instead of adding; this is the same
datapath with tables that hold every sum.

Source: Wei et al., T-MAC (arXiv 2407.00088).
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.partial_sums import sum_rows

GROUP = 4
PATTERNS = 16


@kernel
def plane_codes(weights, bits, out):
    """Four neighbouring weights' bits of one plane as a code: bit i of out[b, c, g] is bit b of weights[c, 4 * g + i].

    weights : int16 (channels, depth), in two's complement; out : uint8 (bits, channels, groups), depth rounded up to
        four; what is missing has bits 0
    """
    for b in range(bits):
        for c in range(weights.shape[0]):
            out[b, c] = np.uint8(0)
            for k in range(weights.shape[1]):
                bit = (np.int64(weights[c, k]) >> np.int64(b)) & np.int64(1)
                out[b, c, k // GROUP] = np.uint8(np.int64(out[b, c, k // GROUP]) | (bit << np.int64(k % GROUP)))


@kernel
def subset_sums(rows, out):
    """out[g, pattern, p] = sum of the rows[p, 4 * g + i] whose bit i is set in the pattern, each from a smaller one.

    rows : int16 (pixels, depth); out : int32 (groups, 16, pixels)
    """
    pixels, depth = rows.shape
    for g in range(out.shape[0]):
        out[g, 0] = np.int32(0)
        for i in range(GROUP):
            k, half = g * GROUP + i, 1 << i
            for pattern in range(half):
                for p in range(pixels):
                    value = np.int32(rows[p, k]) if k < depth else np.int32(0)
                    out[g, half + pattern, p] = out[g, pattern, p] + value


@kernel
def bit_serial(tables, codes, signed, out):
    """out[c, p] = the sum of plane b's looked-up sums times 2^b, times -2^b for the last plane of signed weights.

    tables : `subset_sums`' of the activations; codes : `plane_codes`' of the weights
    out : int32 (channels, pixels), which the sums must fit
    """
    bits = codes.shape[0]
    sums = np.empty(out.shape, np.int32)
    out[:] = np.int32(0)
    for b in range(bits):
        sum_rows(tables, codes[b], sums)
        worth = np.int64(1) << np.int64(b)
        if signed and b == bits - 1:
            worth = -worth
        for c in range(out.shape[0]):
            for p in range(out.shape[1]):
                out[c, p] = np.int32(np.int64(out[c, p]) + worth * np.int64(sums[c, p]))
