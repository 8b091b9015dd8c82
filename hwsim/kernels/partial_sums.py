"""Sums of table rows: the core of every datapath that looks up instead of multiplying.

A table for each group of inputs holds, for each code, a row of partial sums; a code chooses the row. With weights in
the tables and activations as codes the rows run over output channels; with activations in the tables and weights as
codes they run over pixels.
"""

import numpy as np

from hwsim.kernels import kernel

TILE_ROWS = 64


@kernel
def sum_rows(tables, codes, out):
    """out[r, c] = sum over g of tables[g, codes[r, g], c]; every partial sum fits int32.

    tables : int16 or int32 (groups, entries, width); codes : uint8 (rows, groups), each < entries
    out : int32 (rows, width)
    """
    groups, _, width = tables.shape
    whole = groups // 4 * 4
    for start in range(0, codes.shape[0], TILE_ROWS):
        stop = min(start + TILE_ROWS, codes.shape[0])
        out[start:stop] = np.int32(0)
        for g in range(0, whole, 4):
            for r in range(start, stop):
                first, second = np.int64(codes[r, g]), np.int64(codes[r, g + 1])
                third, fourth = np.int64(codes[r, g + 2]), np.int64(codes[r, g + 3])
                for c in range(width):
                    pair = np.int32(tables[g, first, c]) + np.int32(tables[g + 1, second, c])
                    other = np.int32(tables[g + 2, third, c]) + np.int32(tables[g + 3, fourth, c])
                    out[r, c] += np.int32(pair + other)
        for g in range(whole, groups):
            for r in range(start, stop):
                entry = np.int64(codes[r, g])
                for c in range(width):
                    out[r, c] += np.int32(tables[g, entry, c])
