"""The integer constants of I-BERT's functions, from the scale of their input.

Source: kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py (IntGELU, IntSoftmax, IntLayerNorm).
"""

from math import ceil, floor, log2, sqrt

import numpy as np
from numpy.typing import NDArray

EXP = 0.35815147, 0.96963238, 1.0
LOG_2 = 0.6931
ERF = -0.2888, -1.769, 1.0
SQRT_2 = 1.4142
SMALLEST_SCALE = 2.0**-15
"""Below it an exponential of 30 halvings leaves 63 bits."""

LARGEST_GELU_SCALE = 2.0**-9
"""Above it the 14 bits that GELU drops leave fewer than 7 of its erf: 8-bit codes are too coarse, sums are not."""

SQUARES_BITS = 32
"""What a row's sum of squares must fit in layer norm."""

SUM_BITS = 22
"""Of the sums that layer norm reads in I-BERT."""


def exp_constants(scale: float) -> tuple[tuple[int, int, int], float]:
    """floor(-ln 2 / scale), the polynomial's linear and constant terms; and the scale of an exponential.

    scale : of the input, at least `SMALLEST_SCALE`
    """
    square, linear, constant = EXP
    terms = floor(-LOG_2 / scale), floor(linear / square / scale), floor(constant / square / scale**2)
    return terms, square * scale**2 / 2.0**30


def gelu_constants(scale: float) -> tuple[tuple[int, int, int], float]:
    """The bound, the constant and the one that `integer_gelu` needs; and the scale of what it gives, negative."""
    square, linear, constant = ERF
    inner = scale / SQRT_2
    unit = inner**2 * square * 2.0**14
    return (floor(linear / inner), floor(constant / square / inner**2), floor(1.0 / unit)), scale * unit / 2.0


def layer_norm_constants(gamma: NDArray[np.float64], beta: NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    """Offsets in units of what `layer_norm_ibert` gives before gamma; and that unit, sqrt(depth) / 2^30.

    gamma, beta : (depth,), gamma nowhere 0; the real result is unit * gamma * integer
    """
    unit = sqrt(gamma.size) / 2.0**30
    return np.floor(beta / gamma / unit).astype(np.int64), unit


def layer_norm_shift(code_bits: int, depth: int) -> int:
    """The fewest bits to drop from differences of two codes so that the squares of any `depth` of them sum to 32 bits.

    Codes of more than `SUM_BITS` are taken to hold so many. I-BERT finds its shift from the rows it sees while it
    trains; this one holds for every row.
    """
    return max(0, ceil((2 * min(code_bits, SUM_BITS) + log2(depth) - SQUARES_BITS) / 2))
