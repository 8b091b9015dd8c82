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
_GATHER = np.uint64(0x0102040810204080)
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

    Eight bytes become eight bits by one multiplication, which brings byte i to bit 56 + i.

    values : uint8 (rows, 64 * words), contiguous, each 0 or 1, 0 behind the row's own values
    out : uint64 (rows, words)
    """
    eights = values.view(np.uint64)
    for r in range(out.shape[0]):
        for word in range(out.shape[1]):
            bits = np.uint64(0)
            for i in range(8):
                byte = (eights[r, 8 * word + i] * _GATHER) >> np.uint64(56)
                bits |= byte << np.uint64(8 * i)
            out[r, word] = bits


@kernel
def xnor_popcount(rows, weights, depth, out):
    """out[p, c] = depth - 2 * popcount(rows[p] XOR channel c's words): the dot product of signs.

    rows : uint64 (pixels, words); weights : uint64 (words, channels), so that a vector takes neighbouring channels
    depth : valid bits of a row; out : int32 (pixels, channels)
    """
    counts = np.empty(weights.shape[1], np.int64)
    whole = rows.shape[1] // 4 * 4
    for p in range(rows.shape[0]):
        counts[:] = np.int64(0)
        for k in range(0, whole, 4):
            for c in range(weights.shape[1]):
                pair = popcount(rows[p, k] ^ weights[k, c]) + popcount(rows[p, k + 1] ^ weights[k + 1, c])
                other = popcount(rows[p, k + 2] ^ weights[k + 2, c]) + popcount(rows[p, k + 3] ^ weights[k + 3, c])
                counts[c] += pair + other
        for k in range(whole, rows.shape[1]):
            for c in range(weights.shape[1]):
                counts[c] += popcount(rows[p, k] ^ weights[k, c])
        for c in range(weights.shape[1]):
            out[p, c] = np.int32(np.int64(depth) - np.int64(2) * counts[c])


@kernel
def xnor_popcount_valid(rows, valid, weights, out):
    """As `xnor_popcount`, counting only the bits set in valid[p]: taps outside the image count as 0.

    valid : uint64 (pixels, words)
    """
    counts = np.empty(weights.shape[1], np.int64)
    for p in range(rows.shape[0]):
        counts[:] = np.int64(0)
        inside = np.int64(0)
        for k in range(rows.shape[1]):
            word, mask = rows[p, k], valid[p, k]
            inside += popcount(mask)
            for c in range(weights.shape[1]):
                counts[c] += popcount((word ^ weights[k, c]) & mask)
        for c in range(weights.shape[1]):
            out[p, c] = np.int32(inside - np.int64(2) * counts[c])
