"""Average and maximum pooling of raw codes. Source: TFLite reference/integer_ops/pooling.h, reference/pooling.h
(uint8).
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp


@kernel
def average_pool_2d(images, window, minimum, maximum, out):
    """Mean code over the taps inside the image, half away from zero, clamped; the zero point stays in.

    images, out : int8, uint8 or int16 (batch, height, width, channels)
    """
    _, height, width, channels = images.shape
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top = y * window.stride_height - window.pad_top
            for x in range(out.shape[2]):
                left = x * window.stride_width - window.pad_left
                total = np.zeros(channels, np.int64)
                count = np.int64(0)
                for row in range(max(top, 0), min(top + window.filter_height, height)):
                    for column in range(max(left, 0), min(left + window.filter_width, width)):
                        count += 1
                        for c in range(channels):
                            total[c] += np.int64(images[n, row, column, c])
                for c in range(channels):
                    half = (abs(total[c]) + count // 2) // count
                    mean = half if total[c] > 0 else -half
                    out[n, y, x, c] = clamp(mean, np.int64(minimum), np.int64(maximum))


@kernel
def average_pool_2d_truncated(images, window, zero_point, minimum, maximum, out):
    """Mean distance from the zero point over the taps inside the image, toward zero, clamped. Same shapes.

    Source: pulp-platform/pulp-nn-mixed Pooling/AvgPool; Zhen-Dong/HAWQ transform_float_averaging_to_int_averaging.
    """
    _, height, width, channels = images.shape
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top = y * window.stride_height - window.pad_top
            rows = max(top, 0), min(top + window.filter_height, height)
            for x in range(out.shape[2]):
                left = x * window.stride_width - window.pad_left
                columns = max(left, 0), min(left + window.filter_width, width)
                count = np.int64(rows[1] - rows[0]) * np.int64(columns[1] - columns[0])
                for c in range(channels):
                    total = -count * np.int64(zero_point)
                    for row in range(rows[0], rows[1]):
                        for column in range(columns[0], columns[1]):
                            total += np.int64(images[n, row, column, c])
                    mean = abs(total) // count
                    value = (mean if total > 0 else -mean) + np.int64(zero_point)
                    out[n, y, x, c] = clamp(value, np.int64(minimum), np.int64(maximum))


@kernel
def max_pool_2d(images, window, minimum, maximum, out):
    """Largest code over the taps inside the image, clamped.

    images, out : int8, uint8 or int16 (batch, height, width, channels)
    """
    _, height, width, channels = images.shape
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top = y * window.stride_height - window.pad_top
            for x in range(out.shape[2]):
                left = x * window.stride_width - window.pad_left
                largest = np.full(channels, minimum, np.int64)
                for row in range(max(top, 0), min(top + window.filter_height, height)):
                    for column in range(max(left, 0), min(left + window.filter_width, width)):
                        for c in range(channels):
                            largest[c] = max(largest[c], np.int64(images[n, row, column, c]))
                for c in range(channels):
                    out[n, y, x, c] = min(largest[c], np.int64(maximum))
