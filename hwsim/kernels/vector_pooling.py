"""Pooling on fixed arrays; every address and size comes in one int64 array."""

import numpy as np
from numba import carray

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.vector_staging import pointer_to

POOL_FIELDS = (
    "source", "out", "sums", "batch", "height", "width", "channels", "out_height", "out_width", "filter_height",
    "filter_width", "stride_height", "stride_width", "pad_top", "pad_left", "minimum", "maximum", "signed",
)  # fmt: skip
(
    SOURCE, OUT, SUMS, BATCH, HEIGHT, WIDTH, CHANNELS, OUT_HEIGHT, OUT_WIDTH, FILTER_HEIGHT,
    FILTER_WIDTH, STRIDE_HEIGHT, STRIDE_WIDTH, PAD_TOP, PAD_LEFT, MINIMUM, MAXIMUM, SIGNED,
) = range(len(POOL_FIELDS))  # fmt: skip


@kernel
def vector_average_pool(p):
    """Mean code over the taps inside the image, half away from zero, clamped. p : int64 array, see `POOL_FIELDS`."""
    sums = carray(pointer_to(p[SUMS]), (p[CHANNELS],), np.int32)
    place = p[OUT]
    for n in range(p[BATCH]):
        image = p[SOURCE] + n * p[HEIGHT] * p[WIDTH] * p[CHANNELS]
        for y in range(p[OUT_HEIGHT]):
            top = y * p[STRIDE_HEIGHT] - p[PAD_TOP]
            first_row, last_row = max(top, 0), min(top + p[FILTER_HEIGHT], p[HEIGHT])
            for x in range(p[OUT_WIDTH]):
                left = x * p[STRIDE_WIDTH] - p[PAD_LEFT]
                first, last = max(left, 0), min(left + p[FILTER_WIDTH], p[WIDTH])
                sums[:] = 0
                for row in range(first_row, last_row):
                    for column in range(first, last):
                        add_codes(p[SIGNED], image + (row * p[WIDTH] + column) * p[CHANNELS], sums)
                divide(p, sums, (last_row - first_row) * (last - first), place)
                place += p[CHANNELS]


@kernel
def add_codes(signed, address, sums):
    """Add one pixel's codes to `sums`. signed : whether they are int8"""
    if signed:
        codes = carray(pointer_to(address), (sums.shape[0],), np.int8)
        for c in range(sums.shape[0]):
            sums[c] += np.int32(codes[c])
    else:
        unsigned = carray(pointer_to(address), (sums.shape[0],), np.uint8)
        for c in range(sums.shape[0]):
            sums[c] += np.int32(unsigned[c])


@kernel
def divide(p, sums, count, place):
    """Sums to means, to bytes at an address."""
    out = carray(pointer_to(place), (p[CHANNELS],), np.int8)
    half = count // 2
    for c in range(sums.shape[0]):
        magnitude = (abs(np.int64(sums[c])) + half) // count
        mean = magnitude if sums[c] > 0 else -magnitude
        code = clamp(mean, p[MINIMUM], p[MAXIMUM])
        out[c] = np.int8(code)


@kernel
def vector_max_pool(p):
    """Largest code over the taps inside the image, clamped. p : int64 array, see `POOL_FIELDS`.

    Order does not depend on which codes are unsigned once their highest bit is turned over.
    """
    place, row_bytes = p[OUT], p[WIDTH] * p[CHANNELS]
    flip = np.uint8(0) if p[SIGNED] else np.uint8(128)
    low, high = np.int8(np.uint8(p[MINIMUM]) ^ flip), np.int8(np.uint8(p[MAXIMUM]) ^ flip)
    for n in range(p[BATCH]):
        image = p[SOURCE] + n * p[HEIGHT] * row_bytes
        for y in range(p[OUT_HEIGHT]):
            top = y * p[STRIDE_HEIGHT] - p[PAD_TOP]
            first_row, last_row = max(top, 0), min(top + p[FILTER_HEIGHT], p[HEIGHT])
            for x in range(p[OUT_WIDTH]):
                left = x * p[STRIDE_WIDTH] - p[PAD_LEFT]
                first, last = max(left, 0), min(left + p[FILTER_WIDTH], p[WIDTH])
                out = carray(pointer_to(place), (p[CHANNELS],), np.int8)
                out[:] = low
                for row in range(first_row, last_row):
                    for column in range(first, last):
                        keep_larger(image + row * row_bytes + column * p[CHANNELS], flip, out)
                for c in range(out.shape[0]):
                    out[c] = np.int8(np.uint8(min(out[c], high)) ^ flip)
                place += p[CHANNELS]


@kernel
def keep_larger(address, flip, out):
    """The larger of `out` and the codes at an address."""
    codes = carray(pointer_to(address), (out.shape[0],), np.uint8)
    for c in range(out.shape[0]):
        out[c] = max(out[c], np.int8(codes[c] ^ flip))
