"""Average pooling and copies on fixed arrays; every address and size comes in one int64 array."""

import numpy as np
from numba import carray

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp
from hwsim.kernels.vector_staging import copy_bytes, pointer_to

COPY_FIELDS = ("source", "out", "size_bytes")
POOL_FIELDS = (
    "source", "out", "sums", "batch", "height", "width", "channels", "out_height", "out_width", "filter_height",
    "filter_width", "stride_height", "stride_width", "pad_top", "pad_left", "minimum", "maximum", "signed",
)  # fmt: skip
(
    SOURCE, OUT, SUMS, BATCH, HEIGHT, WIDTH, CHANNELS, OUT_HEIGHT, OUT_WIDTH, FILTER_HEIGHT,
    FILTER_WIDTH, STRIDE_HEIGHT, STRIDE_WIDTH, PAD_TOP, PAD_LEFT, MINIMUM, MAXIMUM, SIGNED,
) = range(len(POOL_FIELDS))  # fmt: skip


@kernel
def vector_copy(p):
    """Copy a tensor. p : int64 array, see `COPY_FIELDS`."""
    copy_bytes(p[1], p[0], p[2])


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
                        add_codes(p, image + (row * p[WIDTH] + column) * p[CHANNELS], sums)
                divide(p, sums, (last_row - first_row) * (last - first), place)
                place += p[CHANNELS]


@kernel
def add_codes(p, address, sums):
    """Add one pixel's codes to `sums`."""
    if p[SIGNED]:
        signed = carray(pointer_to(address), (p[CHANNELS],), np.int8)
        for c in range(sums.shape[0]):
            sums[c] += np.int32(signed[c])
    else:
        unsigned = carray(pointer_to(address), (p[CHANNELS],), np.uint8)
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
