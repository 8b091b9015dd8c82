"""Products of signs: XOR and a count of bits. Bit 0 stands for +1, bit 1 for -1, as in larq.

dot = N - 2 * popcount(a XOR w), N the number of valid bits. Padding bits that fill a row's last word are 0 in both
operands, which XOR drops. Of the taps outside the image there are three conventions: +1 (larq's 'same-one'), -1
(daBNN), and 0, what training with zero padding needs: they are not counted.

Sources: Rastegari et al., XNOR-Net (arXiv 1603.05279); larq/compute-engine core/bconv2d; JDAI-CV/dabnn dabnn/pad.h.
"""

import numpy as np

from hwsim.kernels import kernel

WORD = 64
_PAIRS, _QUADS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_BYTES, _ONES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)


@kernel
def popcount(word):
    """How many bits of a uint64 are set; LLVM knows this pattern as one instruction."""
    word = word - ((word >> np.uint64(1)) & _PAIRS)
    word = (word & _QUADS) + ((word >> np.uint64(2)) & _QUADS)
    word = (word + (word >> np.uint64(4))) & _BYTES
    return np.int64((word * _ONES) >> np.uint64(56))


@kernel
def pack_bits(values, out):
    """Bits of a row as words, low bit first: bit k % 64 of out[r, k // 64] is values[r, k].

    values : uint8 (rows, depth), each 0 or 1; out : uint64 (rows, words), words = depth / 64 rounded up
    """
    for r in range(values.shape[0]):
        out[r] = np.uint64(0)
        for k in range(values.shape[1]):
            out[r, k // WORD] = out[r, k // WORD] | (np.uint64(values[r, k]) << np.uint64(k % WORD))


@kernel
def xnor_popcount(rows, weights, depth, out):
    """out[p, c] = depth - 2 * popcount(rows[p] XOR weights[c]): the dot product of signs.

    rows : uint64 (pixels, words); weights : uint64 (channels, words); depth : valid bits of a row
    out : int32 (pixels, channels)
    """
    for p in range(rows.shape[0]):
        for c in range(weights.shape[0]):
            count = np.int64(0)
            for k in range(rows.shape[1]):
                count += popcount(rows[p, k] ^ weights[c, k])
            out[p, c] = np.int32(np.int64(depth) - np.int64(2) * count)


@kernel
def xnor_popcount_valid(rows, valid, weights, out):
    """As `xnor_popcount`, counting only the bits set in valid[p]: taps outside the image count as 0.

    valid : uint64 (pixels, words)
    """
    for p in range(rows.shape[0]):
        inside = np.int64(0)
        for k in range(rows.shape[1]):
            inside += popcount(valid[p, k])
        for c in range(weights.shape[0]):
            count = np.int64(0)
            for k in range(rows.shape[1]):
                count += popcount((rows[p, k] ^ weights[c, k]) & valid[p, k])
            out[p, c] = np.int32(inside - np.int64(2) * count)
