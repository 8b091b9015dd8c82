"""Softmax over the last axis, in TFLite's two ways.

Source: TFLite reference/softmax.h (fixed point), optimized/optimized_ops.h SoftmaxInt8LUT (float table).
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fixed_point import exp_of_negative, leading_zeros, reciprocal_of_one_plus
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import doubling_high_multiply, round_half_away, rounding_shift_right


@kernel
def exponentials_fixed_point(multiplier, left_shift, difference_min, table):
    """gemmlowp's exponential of every difference to a row's largest code, as Q0.31; -1 where it counts as 0.

    multiplier, left_shift : of beta * input_scale * 2^26
    difference_min : a code this far, or further, below the row's maximum counts as 0
    table : int64 (256,), written; table[d] is for a code `d` below the largest
    """
    for d in range(256):
        table[d] = -1
        difference = -np.int64(d)
        if difference >= difference_min:
            scaled = doubling_high_multiply(wrap_int32(difference << np.int64(left_shift)), multiplier)
            table[d] = exp_of_negative(scaled, 5)


@kernel
def softmax_fixed_point(rows, table, minimum, bits, out):
    """Softmax by gemmlowp's exponential and reciprocal.

    rows : int8 or uint8 (batch, depth); out : (batch, depth) of `bits` bits whose smallest code is `minimum`
    table : of `exponentials_fixed_point`
    """
    for n in range(rows.shape[0]):
        largest = np.int64(rows[n, 0])
        for k in range(1, rows.shape[1]):
            largest = max(largest, np.int64(rows[n, k]))
        total = np.int64(0)
        for k in range(rows.shape[1]):
            exponential = table[largest - np.int64(rows[n, k])]
            if exponential >= 0:
                total = wrap_int32(total + rounding_shift_right(exponential, 12))
        headroom = leading_zeros(total & 0xFFFFFFFF)
        reciprocal = reciprocal_of_one_plus(wrap_int32((total << headroom) - np.int64(2147483648)))
        shift = 12 - headroom + 31 - bits
        for k in range(rows.shape[1]):
            value = np.int64(minimum)
            exponential = table[largest - np.int64(rows[n, k])]
            if exponential >= 0:
                product = doubling_high_multiply(reciprocal, exponential)
                value += rounding_shift_right(product, min(shift, np.int64(31)))
            out[n, k] = clamp(value, np.int64(minimum), np.int64(minimum) + (np.int64(1) << np.int64(bits)) - 1)


@kernel
def softmax_float_table(rows, table, output_scale, minimum, maximum, out):
    """Softmax by a float32 table of exponentials, summed in order of k.

    rows : int8 or uint8 (batch, depth); out : (batch, depth), codes in [minimum, maximum], zero point `minimum`
    table : float32 (256,), table[d] = exp(-input_scale * beta * d)
    """
    for n in range(rows.shape[0]):
        largest = np.int64(rows[n, 0])
        for k in range(1, rows.shape[1]):
            largest = max(largest, np.int64(rows[n, k]))
        total = np.float32(0.0)
        for k in range(rows.shape[1]):
            total += table[largest - np.int64(rows[n, k])]
        inverse = np.float32(1.0) / (total * np.float32(output_scale))
        for k in range(rows.shape[1]):
            code = round_half_away(np.float64(table[largest - np.int64(rows[n, k])] * inverse))
            out[n, k] = clamp(code + np.int64(minimum), np.int64(minimum), np.int64(maximum))
