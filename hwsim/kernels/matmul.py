"""Exact products of rows and weights in int32 or int64, the core of convolution and fully connected layers.

Codes arrive as int16 with their zero points removed, so that one multiply-add instruction takes two of them.
"""

import numpy as np

from hwsim.kernels import kernel


@kernel
def accumulate(rows, weights, bias, out):
    """out[p, c] = bias[c] + sum over k of rows[p, k] * weights[c, k], wrapping at the width of `out`.

    rows : int16 (pixels, depth); weights : int16 (channels, depth); bias : int32 or int64 (channels,); out : of the
        bias's dtype (pixels, channels)
    """
    if out.itemsize == 8:
        accumulate_int64(rows, weights, bias, out)
    else:
        accumulate_int32(rows, weights, bias, out)


@kernel
def accumulate_int64(rows, weights, bias, out):
    """`accumulate` into int64."""
    for p in range(rows.shape[0]):
        for c in range(weights.shape[0]):
            total = np.int64(bias[c])
            for k in range(weights.shape[1]):
                total += np.int64(rows[p, k]) * np.int64(weights[c, k])
            out[p, c] = total


@kernel
def accumulate_int32(rows, weights, bias, out):
    """`accumulate` into int32."""
    for p in range(rows.shape[0]):
        for c in range(weights.shape[0]):
            total = np.int32(bias[c])
            for k in range(weights.shape[1]):
                total = np.int32(np.int64(total) + np.int64(rows[p, k]) * np.int64(weights[c, k]))
            out[p, c] = total


@kernel
def accumulate_int16_pairs(rows, weights, bias, out):
    """As `accumulate`, but each pair of neighbouring products is added in int16 with saturation, in order of k.

    What vpmaddubsw does to uint8 activations and int8 weights on x86 without VNNI, in ONNX Runtime and FBGEMM.
    """
    depth = weights.shape[1]
    for p in range(rows.shape[0]):
        for c in range(weights.shape[0]):
            total = np.int64(bias[c])
            for k in range(0, depth, 2):
                pair = np.int64(rows[p, k]) * np.int64(weights[c, k])
                if k + 1 < depth:
                    pair += np.int64(rows[p, k + 1]) * np.int64(weights[c, k + 1])
                total += min(max(pair, np.int64(-32768)), np.int64(32767))
            out[p, c] = np.int32(total)


@kernel
def lifted_bias(weights, bias, lift):
    """bias - lift * sum of each row of weights: undoes that every activation was raised by `lift`."""
    moved = np.empty(bias.shape[0], np.int32)
    for c in range(bias.shape[0]):
        total = np.int64(0)
        for k in range(weights.shape[1]):
            total += np.int64(weights[c, k])
        moved[c] = np.int32(np.int64(bias[c]) - np.int64(lift) * total)
    return moved
