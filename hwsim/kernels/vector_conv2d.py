"""Convolution and fully connected layers by register tiles; every address and size comes in one int64 array.

A call costs a fraction of a microsecond that way, which is what a small layer takes.
"""

from hwsim.kernels import kernel
from hwsim.kernels.vector_output import finish
from hwsim.kernels.vector_staging import (
    BATCH,
    IMAGE,
    IMAGE_BYTES,
    SOURCE,
    SOURCE_BYTES,
    STAGING_FIELDS,
    stage_bytes,
    stage_words,
)
from hwsim.kernels.vector_tile import LANES, QUADS, make_tile

TILE_ROWS = {1: 10, 2: 8, 3: 8, 4: 6} if LANES == 16 else {1: 8, 2: 6}
"""Pixels of a tile for each number of vectors of channels: what fits in this processor's registers."""

FIELDS = (
    *STAGING_FIELDS, "quads", "pixels", "pixel_count", "tile_rows", "steps", "step_count", "flip", "weights",
    "block_bytes", "blocks", "vectors", "channels", "bias", "sums", "stage", "out", "out_bytes", "places",
)  # fmt: skip
"""What `vector_conv2d` reads."""

(
    _QUADS, PIXELS, PIXEL_COUNT, _TILE_ROWS, STEPS, STEP_COUNT, FLIP, WEIGHTS,
    BLOCK_BYTES, BLOCKS, VECTORS, CHANNELS, BIAS, SUMS, STAGE, OUT, OUT_BYTES, PLACES,
) = range(len(STAGING_FIELDS), len(FIELDS))  # fmt: skip

if LANES:
    pairs_1, pairs_2 = make_tile(TILE_ROWS[1], 1, False), make_tile(TILE_ROWS[2], 2, False)
    pairs_single = make_tile(1, max(TILE_ROWS), False)
if LANES == 16:
    pairs_3, pairs_4 = make_tile(TILE_ROWS[3], 3, False), make_tile(TILE_ROWS[4], 4, False)
else:
    pairs_3, pairs_4 = (pairs_1, pairs_2) if LANES else (None, None)
if QUADS:
    quads_1, quads_2 = make_tile(TILE_ROWS[1], 1, True), make_tile(TILE_ROWS[2], 2, True)
    quads_3, quads_4 = make_tile(TILE_ROWS[3], 3, True), make_tile(TILE_ROWS[4], 4, True)
    quads_single = make_tile(1, max(TILE_ROWS), True)
elif LANES:
    quads_1, quads_2, quads_3, quads_4, quads_single = pairs_1, pairs_2, pairs_3, pairs_4, pairs_single


@kernel
def vector_conv2d(p):
    """Run one layer. p : int64 array, see `FIELDS`."""
    for n in range(p[BATCH]):
        image = p[IMAGE]
        if p[SOURCE] == 0:
            image += n * p[IMAGE_BYTES]
        elif p[_QUADS]:
            stage_bytes(p, p[SOURCE] + n * p[SOURCE_BYTES])
        else:
            stage_words(p, p[SOURCE] + n * p[SOURCE_BYTES])
        out = p[OUT] + n * p[OUT_BYTES]
        for block in range(p[BLOCKS]):
            channel = block * p[VECTORS] * LANES
            weights = p[WEIGHTS] + block * p[BLOCK_BYTES]
            for first in range(0, p[PIXEL_COUNT], p[_TILE_ROWS]):
                pixels = p[PIXELS] + 8 * first
                run_tile(p, image, pixels, weights, p[BIAS] + 4 * channel)
                rows = min(p[_TILE_ROWS], p[PIXEL_COUNT] - first)
                finish(p[SUMS], rows, p[VECTORS], p[STAGE], channel, p[CHANNELS], out, p[PLACES] + 8 * first)


@kernel
def run_tile(p, image, pixels, weights, bias):
    """The tile for this layer's number of vectors."""
    steps, count, flip, sums = p[STEPS], p[STEP_COUNT], p[FLIP], p[SUMS]
    if p[_QUADS]:
        if p[_TILE_ROWS] == 1:
            quads_single(image, pixels, steps, count, weights, bias, flip, sums)
        elif p[VECTORS] == 1:
            quads_1(image, pixels, steps, count, weights, bias, flip, sums)
        elif p[VECTORS] == 2:
            quads_2(image, pixels, steps, count, weights, bias, flip, sums)
        elif p[VECTORS] == 3:
            quads_3(image, pixels, steps, count, weights, bias, flip, sums)
        else:
            quads_4(image, pixels, steps, count, weights, bias, flip, sums)
    elif p[_TILE_ROWS] == 1:
        pairs_single(image, pixels, steps, count, weights, bias, flip, sums)
    elif p[VECTORS] == 1:
        pairs_1(image, pixels, steps, count, weights, bias, flip, sums)
    elif p[VECTORS] == 2:
        pairs_2(image, pixels, steps, count, weights, bias, flip, sums)
    elif p[VECTORS] == 3:
        pairs_3(image, pixels, steps, count, weights, bias, flip, sums)
    else:
        pairs_4(image, pixels, steps, count, weights, bias, flip, sums)
