"""Transposed convolution: every input pixel adds its products with a filter to the outputs under it.

Source of the arithmetic: TFLite reference/integer_ops/transpose_conv.h, reference/transpose_conv.h (uint8).
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import wrap_int32
from hwsim.kernels.requantize import requantize_rows


@kernel
def transpose_conv(images, weights, bias, zero_point, window, stage, out):
    """Transposed convolution of a batch, summed in the bias's dtype, written as sums over inputs for each output.

    images : int8, uint8 or int16 (batch, height, width, channels)
    weights : int16 (out_channels, filter_height, filter_width, channels), zero point removed
    bias : int32 or int64 (out_channels,); zero_point : the input's; out : (batch, out_height, out_width, out_channels)
    window : its padding is that of the convolution from `out` to `images`
    """
    sums = np.empty((out.shape[2], weights.shape[0]), bias.dtype)
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            for x in range(out.shape[2]):
                for c in range(weights.shape[0]):
                    total = np.int64(bias[c]) + products_of_pixel(images[n], weights[c], zero_point, window, y, x)
                    sums[x, c] = wrap_int32(total) if sums.itemsize == 4 else total
            requantize_rows(sums, stage, out[n, y])


@kernel
def products_of_pixel(image, taps, zero_point, window, y, x):
    """The sum that one filter contributes to output pixel (y, x). taps : int16 (height, width, channels)."""
    height, width, channels = image.shape
    total = np.int64(0)
    for ky in range(window.filter_height):
        row = y + window.pad_top - ky
        if row < 0 or row % window.stride_height or row // window.stride_height >= height:
            continue
        for kx in range(window.filter_width):
            column = x + window.pad_left - kx
            if column < 0 or column % window.stride_width or column // window.stride_width >= width:
                continue
            pixel = image[row // window.stride_height, column // window.stride_width]
            for c in range(channels):
                total += (np.int64(pixel[c]) - np.int64(zero_point)) * np.int64(taps[ky, kx, c])
    return total
