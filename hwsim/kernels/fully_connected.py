"""Fully connected layer: rows of codes times weights, then the output stage."""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.matmul import accumulate, accumulate_int16_pairs, lifted_bias
from hwsim.kernels.requantize import requantize_rows


@kernel
def fully_connected(rows, weights, bias, zero_point, stage, out):
    """A fully connected layer on a batch, summed in the bias's dtype.

    rows : int8, uint8, or int16 with zero point 0 (batch, depth)
    weights : int16 (out_channels, depth), zero point removed
    bias : int32 or int64 (out_channels,); zero_point : the input's; out : (batch, out_channels)
    """
    values = np.empty((1, rows.shape[1]), np.int16)
    sums = np.empty((1, weights.shape[0]), bias.dtype)
    for n in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            values[0, k] = np.int16(rows[n, k]) - np.int16(zero_point)
        accumulate(values, weights, bias, sums)
        requantize_rows(sums, stage, out[n : n + 1])


@kernel
def fully_connected_int16_pairs(raised, rows, weights, bias, zero_point, stage, out):
    """As `fully_connected`, with neighbouring products added in saturating int16; see `accumulate_int16_pairs`.

    raised : what makes the codes uint8, 128 for int8
    """
    moved = lifted_bias(weights, bias, np.int64(zero_point) + np.int64(raised))
    values = np.empty((1, rows.shape[1]), np.int16)
    sums = np.empty((1, weights.shape[0]), np.int32)
    for n in range(rows.shape[0]):
        for k in range(rows.shape[1]):
            values[0, k] = np.int16(rows[n, k]) + np.int16(raised)
        accumulate_int16_pairs(values, weights, moved, sums)
        requantize_rows(sums, stage, out[n : n + 1])
