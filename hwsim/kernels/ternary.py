"""Products of -1, 0 and 1: two planes of bits for each operand, one for +1 and one for -1, never both set.

dot = pc(ap & wp) + pc(an & wn) - pc(ap & wn) - pc(an & wp).
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.binary import WORD, popcount


@kernel
def pack_signs(values, plus, minus):
    """The two planes of rows of -1, 0 and 1. values : int8 (rows, depth); plus, minus : uint64 (rows, words)."""
    for r in range(values.shape[0]):
        plus[r] = np.uint64(0)
        minus[r] = np.uint64(0)
        for k in range(values.shape[1]):
            plus[r, k // WORD] = plus[r, k // WORD] | (np.uint64(values[r, k] > 0) << np.uint64(k % WORD))
            minus[r, k // WORD] = minus[r, k // WORD] | (np.uint64(values[r, k] < 0) << np.uint64(k % WORD))


@kernel
def ternary_popcount(plus, minus, weights_plus, weights_minus, out):
    """out[p, c] = the dot product of row p and channel c. All planes uint64 (rows, words); out : int32."""
    for p in range(out.shape[0]):
        for c in range(out.shape[1]):
            total = np.int64(0)
            for k in range(plus.shape[1]):
                same = (plus[p, k] & weights_plus[c, k]) | (minus[p, k] & weights_minus[c, k])
                other = (plus[p, k] & weights_minus[c, k]) | (minus[p, k] & weights_plus[c, k])
                total += popcount(same) - popcount(other)
            out[p, c] = np.int32(total)
