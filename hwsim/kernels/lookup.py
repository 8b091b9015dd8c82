"""Functions of one byte, computed for all 256 codes beforehand.

Source: LiteRT tflite/kernels/activations.cc, PopulateLookupTable and EvalUsingLookupTable; google/XNNPACK
src/reference/unary-elementwise.cc.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.requantize import round_half_away


@kernel
def lookup(codes, table, minimum, out):
    """out = table[code - minimum]. codes, out : int8 or uint8 (samples, size); table : 256 codes."""
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            out[n, i] = table[np.int64(codes[n, i]) - np.int64(minimum)]


@kernel
def codes_half_away(values, inverse_scale, zero_point, minimum, maximum, out):
    """float32 product with the reciprocal of the scale, ties away from zero.

    values : float32 (size,), finite, products in the range of int32; out : integer (size,)
    """
    for i in range(out.shape[0]):
        code = round_half_away(np.float64(np.float32(values[i]) * np.float32(inverse_scale)))
        out[i] = clamp(code + np.int64(zero_point), np.int64(minimum), np.int64(maximum))


@kernel
def codes_half_even(values, inverse_scale, zero_point, minimum, maximum, out):
    """XNNPACK: the zero point added in float32, then rounded, ties to even. Same shapes."""
    low, high = np.float32(minimum), np.float32(maximum)
    for i in range(out.shape[0]):
        code = np.float32(values[i]) * np.float32(inverse_scale) + np.float32(zero_point)
        out[i] = np.int64(np.rint(min(max(code, low), high)))
