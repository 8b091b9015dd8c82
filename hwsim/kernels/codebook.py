"""Weights out of a codebook: activations are added up by the index of their weight, and each sum is multiplied once.

Source: Han et al., EIE (arXiv 1602.01528); Cardinaux et al., LUT-Q (arXiv 1811.05355).
"""

import numpy as np

from hwsim.kernels import kernel

TILE_PIXELS = 64


@kernel
def accumulate_by_index(rows, codes, centers, out):
    """out[p, c] = sum over j of centers[j] * (sum of the rows[p, k] whose codes[c, k] is j): 2^bits multiplications.

    rows : int16 (pixels, depth); codes : uint8 (channels, depth); centers : int32 (count,); out : int32 (pixels,
        channels), which the sums must fit
    """
    pixels, depth = rows.shape
    columns = np.zeros((depth, TILE_PIXELS), np.int16)
    sums, totals = np.empty((centers.shape[0], TILE_PIXELS), np.int32), np.empty(TILE_PIXELS, np.int32)
    for start in range(0, pixels, TILE_PIXELS):
        size = min(TILE_PIXELS, pixels - start)
        columns[:, :size] = rows[start : start + size].T
        for c in range(codes.shape[0]):
            sums[:] = np.int32(0)
            for k in range(depth):
                index = np.int64(codes[c, k])
                for i in range(TILE_PIXELS):
                    sums[index, i] += np.int32(columns[k, i])
            totals[:] = np.int32(0)
            for j in range(centers.shape[0]):
                for i in range(TILE_PIXELS):
                    totals[i] += centers[j] * sums[j, i]
            for i in range(size):
                out[start + i, c] = totals[i]


@kernel
def vector_tables(rows, book, out):
    """Products of parts of the rows with every vector of a product codebook, for `partial_sums.sum_rows`.

    rows : int16 (pixels, parts * length); book : int16 (parts, entries, length); out : int32 (parts, entries, pixels),
        which every partial sum must fit
    """
    parts, entries, length = book.shape
    columns = rows.T.copy()
    for part in range(parts):
        for entry in range(entries):
            out[part, entry] = np.int32(0)
            for i in range(length):
                value = np.int32(book[part, entry, i])
                for p in range(rows.shape[0]):
                    out[part, entry, p] += np.int32(columns[part * length + i, p]) * value
