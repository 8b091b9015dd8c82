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
    sums = np.empty((centers.shape[0], TILE_PIXELS), np.int32)
    for start in range(0, pixels, TILE_PIXELS):
        size = min(TILE_PIXELS, pixels - start)
        columns[:, :size] = rows[start : start + size].T
        for c in range(codes.shape[0]):
            sums[:] = np.int32(0)
            for k in range(depth):
                index = np.int64(codes[c, k])
                for i in range(TILE_PIXELS):
                    sums[index, i] += np.int32(columns[k, i])
            for i in range(size):
                total = np.int64(0)
                for j in range(centers.shape[0]):
                    total += np.int64(centers[j]) * np.int64(sums[j, i])
                out[start + i, c] = np.int32(total)


@kernel
def vector_tables(rows, book, out):
    """Products of parts of the rows with every vector of a product codebook, for `partial_sums.sum_rows`.

    rows : int16 (pixels, parts * length); book : int16 (parts, entries, length); out : int32 (parts, entries, pixels),
        which the sums must fit
    """
    parts, entries, length = book.shape
    for part in range(parts):
        for entry in range(entries):
            for p in range(rows.shape[0]):
                total = np.int64(0)
                for i in range(length):
                    total += np.int64(rows[p, part * length + i]) * np.int64(book[part, entry, i])
                out[part, entry, p] = np.int32(total)
