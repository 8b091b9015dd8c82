"""Bilinear resizing of raw codes; the positions of rows and columns come from tables.

Source: TFLite reference/resize_bilinear.h (ResizeBilinearInteger); google/XNNPACK src/s8-ibilinear, src/indirection.c.
"""

import numpy as np

from hwsim.kernels import kernel


@kernel
def resize_bilinear_q10(images, rows, columns, out):
    """Reference: weights with 10 fraction bits, the sum rounded half away from zero.

    images, out : int8, uint8 or int16 (batch, height, width, channels)
    rows, columns : int64 (out size, 3): lower index, upper index, fraction times 1024
    """
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top, bottom, fy = rows[y, 0], rows[y, 1], rows[y, 2]
            for x in range(out.shape[2]):
                left, right, fx = columns[x, 0], columns[x, 1], columns[x, 2]
                for c in range(out.shape[3]):
                    upper = np.int64(images[n, top, left, c]) * (1024 - fx) + np.int64(images[n, top, right, c]) * fx
                    lower = (
                        np.int64(images[n, bottom, left, c]) * (1024 - fx) + np.int64(images[n, bottom, right, c]) * fx
                    )
                    total = upper * (1024 - fy) + lower * fy
                    rounded = (abs(total) + np.int64(524288)) >> np.int64(20)
                    out[n, y, x, c] = rounded if total > 0 else -rounded


@kernel
def resize_bilinear_q11(images, rows, columns, out):
    """XNNPACK: weights with 11 fraction bits, the sum rounded once, ties up. Same arguments, fractions times 2048."""
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top, bottom, fy = rows[y, 0], rows[y, 1], rows[y, 2]
            for x in range(out.shape[2]):
                left, right, fx = columns[x, 0], columns[x, 1], columns[x, 2]
                for c in range(out.shape[3]):
                    upper = np.int64(images[n, top, left, c])
                    upper = (upper << np.int64(11)) + (np.int64(images[n, top, right, c]) - upper) * fx
                    lower = np.int64(images[n, bottom, left, c])
                    lower = (lower << np.int64(11)) + (np.int64(images[n, bottom, right, c]) - lower) * fx
                    total = (upper << np.int64(11)) + (lower - upper) * fy
                    out[n, y, x, c] = (total + np.int64(2097152)) >> np.int64(22)


@kernel
def resize_bilinear_float32(images, rows, row_fraction, columns, column_fraction, out):
    """LiteRT's reference uint8: each code times both fractions in turn, summed in float32, 0.5 added, truncated.

    images, out : uint8 (batch, height, width, channels)
    rows, columns : int64 (out size, 2): lower and upper index; row_fraction, column_fraction : float32 (out size,)
    """
    one = np.float32(1.0)
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top, bottom, fy = rows[y, 0], rows[y, 1], row_fraction[y]
            for x in range(out.shape[2]):
                left, right, fx = columns[x, 0], columns[x, 1], column_fraction[x]
                for c in range(out.shape[3]):
                    total = np.float32(images[n, top, left, c]) * (one - fy) * (one - fx)
                    total += np.float32(images[n, bottom, left, c]) * fy * (one - fx)
                    total += np.float32(images[n, top, right, c]) * (one - fy) * fx
                    total += np.float32(images[n, bottom, right, c]) * fy * fx
                    out[n, y, x, c] = np.uint8(total + np.float32(0.5))


@kernel
def resize_bilinear_float32_weights(images, rows, row_fraction, columns, column_fraction, out):
    """LiteRT's optimized uint8: each code times the product of its fractions, in another order. Same arguments.

    Source: TFLite optimized/resize_bilinear.h, ResizeBilinearGenericSmallChannel.
    """
    one = np.float32(1.0)
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top, bottom, fy = rows[y, 0], rows[y, 1], row_fraction[y]
            for x in range(out.shape[2]):
                left, right, fx = columns[x, 0], columns[x, 1], column_fraction[x]
                for c in range(out.shape[3]):
                    total = np.float32(images[n, top, left, c]) * ((one - fy) * (one - fx))
                    total += np.float32(images[n, top, right, c]) * ((one - fy) * fx)
                    total += np.float32(images[n, bottom, left, c]) * (fy * (one - fx))
                    total += np.float32(images[n, bottom, right, c]) * (fy * fx)
                    out[n, y, x, c] = np.uint8(total + np.float32(0.5))
