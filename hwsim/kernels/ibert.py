"""I-BERT's integer-only functions: exponential, softmax, GELU, square root, layer norm; every value an int64.

The constants of each function follow from a scale, see `hwsim.quantizers.ibert`.
Source: Kim et al., I-BERT (arXiv 2101.01321); kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py, which
holds the same integers in floats.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.requantize import requantize

HALVINGS = 30
"""Powers of one half that the exponential keeps."""


@kernel
def integer_exp(value, logarithm, linear, constant):
    """exp of a value <= 0, in units of its scale / 2^30.

    logarithm : floor(-ln 2 / scale), negative; linear, constant : of the polynomial (r + linear) * r + constant
    """
    limited = max(np.int64(value), HALVINGS * np.int64(logarithm))
    halvings = limited // np.int64(logarithm)
    rest = limited - np.int64(logarithm) * halvings
    polynomial = (rest + np.int64(linear)) * rest + np.int64(constant)
    return max(polynomial << (np.int64(HALVINGS) - halvings), np.int64(0))


@kernel
def softmax_ibert(rows, exponent, narrow, bits, zero_point, minimum, maximum, out):
    """Softmax of every row, with `bits` fraction bits.

    rows : integer, out : 8 bits, both (rows, depth); exponent : int64 (3,), what `integer_exp` needs
    narrow : a float64, what turns an exponential into 15 bits, ties to even
    """
    depth = rows.shape[1]
    parts = np.empty(depth, np.int64)
    for n in range(rows.shape[0]):
        largest = np.int64(rows[n, 0])
        for i in range(depth):
            largest = max(largest, np.int64(rows[n, i]))
        total = np.int64(0)
        for i in range(depth):
            value = integer_exp(np.int64(rows[n, i]) - largest, exponent[0], exponent[1], exponent[2])
            parts[i] = clamp(np.int64(np.rint(np.float64(value) * narrow)), np.int64(0), np.int64(32767))
            total += parts[i]
        factor = (np.int64(1) << np.int64(32)) // total
        for i in range(depth):
            share = (parts[i] * factor) >> np.int64(32 - bits)
            out[n, i] = clamp(share + np.int64(zero_point), np.int64(minimum), np.int64(maximum))


@kernel
def integer_gelu(value, bound, constant, one):
    """value * (erf polynomial + 1), in units of its scale times the polynomial's.

    bound : floor(b / scale), negative; constant : floor(c / scale^2); one : floor(1 / polynomial's scale)
    """
    magnitude = min(abs(np.int64(value)), -np.int64(bound)) + np.int64(bound)
    curve = magnitude * magnitude + np.int64(constant)
    signed = curve if value > 0 else (-curve if value < 0 else np.int64(0))
    return np.int64(value) * ((signed >> np.int64(14)) + np.int64(one))


@kernel
def gelu_ibert(values, zero_point, terms, stage, out):
    """GELU of every value, requantized by channel 0 of `stage`.

    values, out : integer (size,); terms : int64 (3,), what `integer_gelu` needs besides a value
    """
    for i in range(values.shape[0]):
        centered = np.int64(values[i]) - np.int64(zero_point)
        out[i] = requantize(integer_gelu(centered, terms[0], terms[1], terms[2]), 0, stage)


@kernel
def integer_sqrt(value):
    """floor of the square root of an int64 >= 0, by Newton's steps from above (the paper's algorithm 4)."""
    if value == 0:
        return np.int64(0)
    bits = np.int64(0)
    while value >> bits > 0:
        bits += np.int64(1)
    root = np.int64(1) << ((bits + np.int64(1)) // np.int64(2))
    while True:
        following = (root + np.int64(value) // root) >> np.int64(1)
        if following >= root:
            return root
        root = following


@kernel
def layer_norm_ibert(rows, shift, offsets, out):
    """Rows less their mean over their standard deviation, in units of sqrt(depth) / 2^30, plus integer offsets.

    rows : integer (rows, depth); shift : bits dropped before squaring; offsets : int64 (depth,); out : int64, as rows
    A row of equal values has no deviation: its division is by 1.
    """
    depth = np.int64(rows.shape[1])
    for n in range(rows.shape[0]):
        total = np.int64(0)
        for i in range(depth):
            total += np.int64(rows[n, i])
        mean = total // depth
        twice = np.int64(2) * (total - mean * depth)
        if twice > depth or (twice == depth and mean & np.int64(1) == 1):
            mean += np.int64(1)
        variance = np.int64(0)
        for i in range(depth):
            narrow = (np.int64(rows[n, i]) - mean) >> np.int64(shift)
            variance += narrow * narrow
        deviation = max(integer_sqrt(variance) << np.int64(shift), np.int64(1))
        factor = (np.int64(1) << np.int64(31)) // deviation
        for i in range(depth):
            out[n, i] = (((np.int64(rows[n, i]) - mean) * factor) >> np.int64(1)) + offsets[i]
