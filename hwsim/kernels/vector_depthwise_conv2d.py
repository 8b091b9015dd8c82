"""Depthwise convolution by register tiles: a few pixels of one vector of channels, two taps at a time.

Every address and size comes in one int64 array, as in `vector_conv2d`.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_instructions import I8, I16, I32, I64, vector
from hwsim.kernels.vector_output import finish
from hwsim.kernels.vector_staging import (
    BATCH,
    IMAGE,
    IMAGE_BYTES,
    SOURCE,
    SOURCE_BYTES,
    STAGING_FIELDS,
    stage_bytes,
)
from hwsim.kernels.vector_tile import LANES, Loop, integer, load, opaque, splat, store

ROWS = 8
"""Pixels of a tile."""

FIELDS = (
    *STAGING_FIELDS, "pixels", "pixel_count", "taps", "pair_count", "flip", "weights", "block_bytes", "blocks",
    "vectors", "narrow", "channels", "bias", "sums", "stage", "out", "out_bytes", "places",
)  # fmt: skip
"""What `vector_depthwise_conv2d` reads. Weights are packed as (block, pair of taps, tap, channel)."""

(
    PIXELS, PIXEL_COUNT, TAPS, PAIR_COUNT, FLIP, WEIGHTS, BLOCK_BYTES, BLOCKS,
    VECTORS, NARROW, CHANNELS, BIAS, SUMS, STAGE, OUT, OUT_BYTES, PLACES,
) = range(len(STAGING_FIELDS), len(FIELDS))  # fmt: skip


def make_tile(vectors: int, narrow: bool) -> Any:
    """An intrinsic (image, pixels, taps, pair_count, weights, bias, flip, sums) for `ROWS` pixels of some channels.

    vectors : how many vectors of channels

    image : address of the first channel; pixels : address of int64 byte offsets, `ROWS` of them
    taps : address of int64 byte offsets, two a pair; weights : address of int16 (pair, tap, channel)
    bias : address of int32; flip : byte exclusive-ored onto the image's (turns uint8 into int8)
    sums : address of int32 (rows, vectors * lanes), written
    narrow : codes are int8 and no weight is beyond 127, so that two products fit int16 together; `flip` is not used
    """

    @intrinsic
    def tile(typingctx, image, pixels, taps, pair_count, weights, bias, flip, sums):
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit(builder, args, vectors, narrow)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 8), codegen

    return tile


def _emit(builder: Any, args: Any, vectors: int, narrow: bool) -> None:
    image, pixels, taps, pair_count, weights, bias, flip, sums = args
    channels = vectors * LANES
    half, wide = vector(I16, channels), vector(I32, channels)
    pixels, taps, weights, bias, sums = (
        builder.inttoptr(a, I8.as_pointer()) for a in (pixels, taps, weights, bias, sums)
    )
    flip = splat(builder, builder.trunc(flip, I8), channels)
    addresses = [builder.add(image, load(builder, pixels, integer(8 * row), I64)) for row in range(ROWS)]
    bases = [builder.inttoptr(opaque(builder, address, "r"), I8.as_pointer()) for address in addresses]
    loop = Loop(builder, pair_count, [load(builder, bias, integer(0), wide)] * ROWS)
    offsets = [load(builder, taps, builder.mul(loop.index, integer(16), ), I64),
               load(builder, taps, builder.add(builder.mul(loop.index, integer(16)), integer(8)), I64)]  # fmt: skip
    place = builder.mul(loop.index, integer(4 * channels))
    factors = [load(builder, weights, builder.add(place, integer(2 * channels * tap)), half) for tap in (0, 1)]
    totals = []
    for base, total in zip(bases, loop.values, strict=True):
        products = []
        for offset, factor in zip(offsets, factors, strict=True):
            codes = load(builder, base, offset, vector(I8, channels))
            values = builder.sext(codes if narrow else builder.xor(codes, flip), half)
            if narrow:
                products.append(builder.mul(values, factor))
            else:
                products.append(builder.mul(builder.sext(values, wide), builder.sext(factor, wide)))
        both = builder.add(*products)
        totals.append(builder.add(total, builder.sext(both, wide) if narrow else both))
    for row, total in enumerate(loop.end(totals)):
        store(builder, sums, integer(4 * channels * row), total)


if LANES:
    narrow_1, narrow_2 = make_tile(1, True), make_tile(2, True)
    wide_1, wide_2 = make_tile(1, False), make_tile(2, False)


@kernel
def vector_depthwise_conv2d(p):
    """Run one layer. p : int64 array, see `FIELDS`."""
    for n in range(p[BATCH]):
        image = p[IMAGE]
        if p[SOURCE] == 0:
            image += n * p[IMAGE_BYTES]
        else:
            stage_bytes(p, p[SOURCE] + n * p[SOURCE_BYTES])
        out = p[OUT] + n * p[OUT_BYTES]
        for first in range(0, p[PIXEL_COUNT], ROWS):
            rows = min(ROWS, p[PIXEL_COUNT] - first)
            for block in range(p[BLOCKS]):
                channel = block * p[VECTORS] * LANES
                weights = p[WEIGHTS] + block * p[BLOCK_BYTES]
                pixels = p[PIXELS] + 8 * first
                bias = p[BIAS] + 4 * channel
                run_tile(p, image + channel, pixels, weights, bias)
                finish(p[SUMS], rows, p[VECTORS], p[STAGE], channel, p[CHANNELS], out, p[PLACES] + 8 * first)


@kernel
def run_tile(p, image, pixels, weights, bias):
    """The tile for this layer's weights and number of vectors."""
    taps, pairs, flip, sums = p[TAPS], p[PAIR_COUNT], p[FLIP], p[SUMS]
    if p[NARROW] and p[VECTORS] == 2:
        narrow_2(image, pixels, taps, pairs, weights, bias, flip, sums)
    elif p[NARROW]:
        narrow_1(image, pixels, taps, pairs, weights, bias, flip, sums)
    elif p[VECTORS] == 2:
        wide_2(image, pixels, taps, pairs, weights, bias, flip, sums)
    else:
        wide_1(image, pixels, taps, pairs, weights, bias, flip, sums)
