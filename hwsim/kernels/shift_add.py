"""Weights that are powers of two, or sums of up to three: products by shifts and adds.

Sources: INQ (arXiv 1702.03044), APoT (arXiv 1909.13144); `quantizers.powers.terms_of` gives the shifts of each level.
"""

import numpy as np

from hwsim.kernels import kernel

TILE_PIXELS = 64


@kernel
def shift_add(rows, codes, terms, out):
    """out[p, c] = sum over k of the level of codes[c, k] times rows[p, k], without a multiplication.

    rows : int16 (pixels, depth); codes : uint8 (channels, depth)
    terms : int64 (levels, 4): the sign -1, 0 or 1, then up to three shifts in [0, 15], -1 where there are no more
    out : int32 (pixels, channels), which every partial sum must fit
    """
    pixels, depth = rows.shape
    columns = np.zeros((depth, TILE_PIXELS), np.int16)
    totals = np.empty(TILE_PIXELS, np.int32)
    for start in range(0, pixels, TILE_PIXELS):
        size = min(TILE_PIXELS, pixels - start)
        columns[:, :size] = rows[start : start + size].T
        for c in range(codes.shape[0]):
            totals[:] = np.int32(0)
            for k in range(depth):
                level = np.int64(codes[c, k])
                for term in range(1, 4):
                    shift = terms[level, term]
                    if shift >= 0:
                        _add_shifted(columns[k], terms[level, 0], shift, totals)
            for i in range(size):
                out[start + i, c] = totals[i]


@kernel
def _add_shifted(values, sign, shift, totals):
    """totals += sign * (values << shift), element by element. values : int16; totals : int32; sign : -1 or 1."""
    if sign > 0:
        for i in range(TILE_PIXELS):
            totals[i] += np.int32(values[i]) << np.int32(shift)
    else:
        for i in range(TILE_PIXELS):
            totals[i] -= np.int32(values[i]) << np.int32(shift)
