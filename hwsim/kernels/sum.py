"""From sums of raw codes to output codes, in the engines' four ways.

Source: TFLite reference/reduce.h, QuantizedMeanOrSum; tflite/kernels/reduce.cc; google/XNNPACK
src/operators/reduce-nd.c.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.requantize import round_half_away


@kernel
def sum_float32(sums, scale, bias, zero_point, minimum, maximum, out):
    """LiteRT optimized: the sum scaled and moved in float32, ties away. sums : int64 (outer, inner); out : codes."""
    for i in range(sums.shape[0]):
        for k in range(sums.shape[1]):
            value = round_half_away(np.float64(np.float32(sums[i, k]) * np.float32(scale) + np.float32(bias)))
            out[i, k] = clamp(value + np.int64(zero_point), np.int64(minimum), np.int64(maximum))
