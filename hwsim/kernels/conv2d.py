"""Convolution: patches of one output row, their products with the weights, the output stage.

Source of the arithmetic: TFLite tflite/kernels/internal/reference/integer_ops/conv.h, ConvPerChannel.
"""

from typing import NamedTuple

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.matmul import accumulate, accumulate_int16_pairs, lifted_bias
from hwsim.kernels.requantize import requantize_rows


class Window(NamedTuple):
    """How a filter moves over an image."""

    filter_height: int
    filter_width: int
    stride_height: int
    stride_width: int
    dilation_height: int
    dilation_width: int
    pad_top: int
    pad_left: int


@kernel
def gather_patches(image, y, zero_point, window, channel, patches):
    """The patches under row `y` of the output, zero point removed; outside the image they are 0.

    image : int8, uint8, or int16 with zero point 0 (height, width, channels); channel : the first to take
    patches : int16 (out_width, filter_height * filter_width * group_channels), written
    """
    height, width, _ = image.shape
    depth = patches.shape[1] // (window.filter_height * window.filter_width)
    top = y * window.stride_height - window.pad_top
    for x in range(patches.shape[0]):
        left = x * window.stride_width - window.pad_left
        start = 0
        for ky in range(window.filter_height):
            row = top + ky * window.dilation_height
            for kx in range(window.filter_width):
                column = left + kx * window.dilation_width
                if 0 <= row < height and 0 <= column < width:
                    for c in range(depth):
                        patches[x, start + c] = np.int16(image[row, column, channel + c]) - np.int16(zero_point)
                else:
                    for c in range(depth):
                        patches[x, start + c] = np.int16(0)
                start += depth


@kernel
def conv2d(images, weights, bias, zero_point, window, stage, out):
    """Convolution of a batch, summed in the bias's dtype.

    images : int8, uint8, or int16 with zero point 0 (batch, height, width, channels)
    weights : int16 (groups, out_channels / groups, filter_height * filter_width * channels / groups), zero point
        removed
    bias : int32 or int64 (out_channels,); zero_point : the input's; out : (batch, out_height, out_width, out_channels)
    """
    groups, group_out, depth = weights.shape
    group_in = images.shape[3] // groups
    patches = np.empty((out.shape[2], depth), np.int16)
    sums = np.empty((out.shape[2], groups * group_out), bias.dtype)
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            for group in range(groups):
                first = group * group_out
                gather_patches(images[n], y, zero_point, window, group * group_in, patches)
                accumulate(patches, weights[group], bias[first : first + group_out], sums[:, first : first + group_out])
            requantize_rows(sums, stage, out[n, y])


@kernel
def conv2d_int16_pairs(raised, images, weights, bias, zero_point, window, stage, out):
    """As `conv2d`, with neighbouring products added in saturating int16, in (height, width, channel) order.

    raised : what makes the codes uint8 (128 for int8), as on x86 without VNNI; see `accumulate_int16_pairs`
    """
    groups, group_out, depth = weights.shape
    group_in = images.shape[3] // groups
    lift = np.int64(zero_point) + np.int64(raised)
    patches = np.empty((out.shape[2], depth), np.int16)
    sums = np.empty((out.shape[2], groups * group_out), np.int32)
    moved = lifted_bias(weights.reshape(groups * group_out, depth), bias, lift)
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            for group in range(groups):
                first = group * group_out
                gather_patches(images[n], y, zero_point, window, group * group_in, patches)
                patches += np.int16(lift)
                accumulate_int16_pairs(
                    patches, weights[group], moved[first : first + group_out], sums[:, first : first + group_out]
                )
            requantize_rows(sums, stage, out[n, y])
