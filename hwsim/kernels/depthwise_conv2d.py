"""Depthwise convolution: every channel has its own filters.

Source of the arithmetic: TFLite tflite/kernels/internal/reference/integer_ops/depthwise_conv.h.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.requantize import requantize_rows


@kernel
def depthwise_conv2d(images, weights, bias, zero_point, window, stage, out):
    """Depthwise convolution of a batch, summed in the bias's dtype; output channel c * multiplier + m reads input
    channel c.

    images : int8, uint8, or int16 with zero point 0 (batch, height, width, channels)
    weights : int16 (filter_height, filter_width, channels * multiplier), zero point removed
    bias : int32 or int64 (channels * multiplier,); zero_point : the input's
    out : (batch, out_height, out_width, channels * multiplier)
    """
    _, height, width, channels = images.shape
    multiplier = weights.shape[2] // channels
    sums = np.empty((out.shape[2], weights.shape[2]), bias.dtype)
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top = y * window.stride_height - window.pad_top
            for x in range(out.shape[2]):
                left = x * window.stride_width - window.pad_left
                total = sums[x]
                for c in range(bias.shape[0]):
                    total[c] = bias[c]
                for ky in range(window.filter_height):
                    row = top + ky * window.dilation_height
                    for kx in range(window.filter_width):
                        column = left + kx * window.dilation_width
                        if 0 <= row < height and 0 <= column < width:
                            if total.itemsize == 8:
                                add_products_int64(images[n, row, column], weights[ky, kx], multiplier, total)
                            else:
                                add_products(images[n, row, column], weights[ky, kx], zero_point, multiplier, total)
            requantize_rows(sums, stage, out[n, y])


@kernel
def add_products(pixel, weights, zero_point, multiplier, total):
    """total[c * multiplier + m] += (pixel[c] - zero_point) * weights[c * multiplier + m], wrapping at 32 bits."""
    if multiplier == 1:
        for c in range(pixel.shape[0]):
            product = (np.int64(pixel[c]) - np.int64(zero_point)) * np.int64(weights[c])
            total[c] = np.int32(np.int64(total[c]) + product)
        return
    for c in range(pixel.shape[0]):
        value = np.int64(pixel[c]) - np.int64(zero_point)
        for m in range(c * multiplier, (c + 1) * multiplier):
            total[m] = np.int32(np.int64(total[m]) + value * np.int64(weights[m]))


@kernel
def add_products_int64(pixel, weights, multiplier, total):
    """The same in int64, for a zero point of 0."""
    for c in range(pixel.shape[0]):
        for m in range(c * multiplier, (c + 1) * multiplier):
            total[m] += np.int64(pixel[c]) * np.int64(weights[m])
