"""A layer factored into features and time: each filter remembers its last sums and weights them.

Source: TFLite reference/svdf.h, EvalIntegerSVDF; TFLM micro/kernels/svdf_common.cc.
"""

from typing import NamedTuple

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp, wrap_int32
from hwsim.kernels.requantize import requantize_single_rounding, requantize_tflite_double_rounding


class SvdfParams(NamedTuple):
    """Of the input to the state, and of the state to the output.

    zero_points : of input, state and output
    features, times : multiplier and shift
    rank : filters that are summed into one output
    state_codes : the smallest and largest code of the state's dtype, beyond which it wraps
    state_limits, limits : what the state and the output are limited to
    once : whether sums are rounded once
    """

    zero_points: tuple[int, int, int]
    features: tuple[int, int]
    times: tuple[int, int]
    rank: int
    state_codes: tuple[int, int]
    state_limits: tuple[int, int]
    limits: tuple[int, int]
    once: bool


@kernel
def rounded(total, multiplier, shift, once):
    """A sum of products through its multiplier, rounded once or twice."""
    if once:
        return requantize_single_rounding(total, multiplier, shift)
    return requantize_tflite_double_rounding(total, multiplier, shift)


@kernel
def svdf(rows, features, times, bias, p, state, out):
    """One step; `state` moves on by one. A zero point of the state is added after saturation, and wraps.

    rows : int8 (batch, inputs); features : int8 (filters, inputs); times : int16 or int8 (filters, memory)
    bias : int32 (units,); state : of the dtype of `times` (batch, filters, memory), the latest last
    out : int8 (batch, units), filters = units * rank
    """
    filters, memory = times.shape
    for n in range(rows.shape[0]):
        for f in range(filters):
            for m in range(memory - 1):
                state[n, f, m] = state[n, f, m + 1]
            total = np.int64(0)
            for k in range(rows.shape[1]):
                total += np.int64(features[f, k]) * (np.int64(rows[n, k]) - np.int64(p.zero_points[0]))
            value = rounded(wrap_int32(total), p.features[0], p.features[1], p.once)
            moved = clamp(value, np.int64(p.state_limits[0]), np.int64(p.state_limits[1])) + np.int64(p.zero_points[1])
            low, high = np.int64(p.state_codes[0]), np.int64(p.state_codes[1])
            state[n, f, memory - 1] = ((moved - low) & (high - low)) + low
        for unit in range(out.shape[1]):
            total = np.int64(bias[unit])
            for f in range(unit * p.rank, (unit + 1) * p.rank):
                for m in range(memory):
                    total += np.int64(times[f, m]) * (np.int64(state[n, f, m]) - np.int64(p.zero_points[1]))
            value = rounded(wrap_int32(total), p.times[0], p.times[1], p.once)
            out[n, unit] = clamp(value + np.int64(p.zero_points[2]), np.int64(p.limits[0]), np.int64(p.limits[1]))
