"""x * relu6(x + 3) / 6 on 16-bit intermediates.

Source: TFLite reference/hard_swish.h.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.requantize import rounding_shift_right


@kernel
def saturate_int16(value):
    """`value` limited to [-2^15, 2^15)."""
    return clamp(np.int64(value), np.int64(-32768), np.int64(32767))


@kernel
def doubling_high_multiply_int16(a, b):
    """gemmlowp SaturatingRoundingDoublingHighMul on int16 values: ties go up."""
    return saturate_int16((np.int64(a) * np.int64(b) + np.int64(16384)) >> np.int64(15))


@kernel
def truncating_doubling_high_multiply_int16(a, b):
    """TFLite SaturatingDoublingHighMul on int16 values: toward zero."""
    product = np.int64(a) * np.int64(b)
    return saturate_int16(product >> np.int64(15) if product >= 0 else -((-product) >> np.int64(15)))


@kernel
def hard_swish(values, output, reluish, zero_point, minimum, maximum, out):
    """values : int64 (size,), codes less their zero point; out : integer (size,).

    output, reluish : (16-bit multiplier, exponent) of input_scale / 128 over the output's scale, exponent at most 0,
        and over 3 / 32768
    """
    for i in range(out.shape[0]):
        fine = np.int64(values[i]) * np.int64(128)
        scaled = doubling_high_multiply_int16(fine, output[0])
        gate = fine
        if reluish[1] > 0:
            gate = saturate_int16(gate << np.int64(reluish[1] - 1))
        gate = doubling_high_multiply_int16(gate, reluish[0])
        if reluish[1] > 0:
            gate = saturate_int16(gate << np.int64(1))
        if reluish[1] < 0:
            gate = rounding_shift_right(gate, -reluish[1])
        gate = (gate + np.int64(32768)) >> np.int64(1)
        product = truncating_doubling_high_multiply_int16(gate, scaled)
        code = rounding_shift_right(product, -output[1]) + np.int64(zero_point)
        out[i] = clamp(code, np.int64(minimum), np.int64(maximum))
