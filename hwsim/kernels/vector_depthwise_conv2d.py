"""Depthwise convolution by register tiles: a few pixels of one vector of channels, two taps at a time.

Every address and size comes in one int64 array, as in `vector_conv2d`.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_instructions import I8, I16, I32, I64, multiply_add, vector
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
from hwsim.kernels.vector_tile import LANES, Loop, integer, load, splat, store

ROWS = 8
"""Pixels of a tile."""

FIELDS = (
    *STAGING_FIELDS, "pixels", "pixel_count", "taps", "pair_count", "flip", "weights", "block_bytes", "blocks",
    "channels", "bias", "sums", "stage", "out", "out_bytes", "places",
)  # fmt: skip
"""What `vector_depthwise_conv2d` reads. Weights are packed as (block, pair of taps, lane, tap)."""

(
    PIXELS, PIXEL_COUNT, TAPS, PAIR_COUNT, FLIP, WEIGHTS, BLOCK_BYTES, BLOCKS,
    CHANNELS, BIAS, SUMS, STAGE, OUT, OUT_BYTES, PLACES,
) = range(len(STAGING_FIELDS), len(FIELDS))  # fmt: skip


@intrinsic
def tile(typingctx, image, pixels, taps, pair_count, weights, bias, flip, sums):
    """Sum `ROWS` pixels of one vector of channels.

    image : address of the first channel; pixels : address of int64 byte offsets, `ROWS` of them
    taps : address of int64 byte offsets, two a pair; weights : address of int16 (pair, lane, tap)
    bias, sums : addresses of int32; flip : byte exclusive-ored onto the image's (turns uint8 into int8)
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _emit(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 8), codegen


def _emit(builder: Any, image: Any, pixels: Any, taps: Any, pair_count: Any, weights: Any, bias: Any, flip: Any,
          sums: Any) -> None:  # fmt: skip
    pointer, codes = I8.as_pointer(), vector(I8, LANES)
    image, pixels, taps, weights, bias, sums = (
        builder.inttoptr(a, pointer) for a in (image, pixels, taps, weights, bias, sums)
    )
    flip = splat(builder, builder.trunc(flip, I8), LANES)
    alternate = ir.Constant(vector(I32, 2 * LANES), [i // 2 + LANES * (i % 2) for i in range(2 * LANES)])
    bases = [load(builder, pixels, integer(8 * row), I64) for row in range(ROWS)]
    loop = Loop(builder, pair_count, [load(builder, bias, integer(0), vector(I32, LANES))] * ROWS)
    at = builder.mul(loop.index, integer(16))
    first, second = (load(builder, taps, builder.add(at, integer(8 * tap)), I64) for tap in (0, 1))
    factors = load(builder, weights, builder.mul(loop.index, integer(4 * LANES)), vector(I16, 2 * LANES))
    totals = []
    for base, total in zip(bases, loop.values, strict=True):
        left, right = (
            builder.xor(load(builder, image, builder.add(base, tap), codes), flip) for tap in (first, second)
        )
        values = builder.sext(builder.shuffle_vector(left, right, alternate), vector(I16, 2 * LANES))
        totals.append(multiply_add(builder, total, values, factors, LANES, False))
    for row, total in enumerate(loop.end(totals)):
        store(builder, sums, integer(4 * LANES * row), total)


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
                channel = block * LANES
                weights = p[WEIGHTS] + block * p[BLOCK_BYTES]
                pixels = p[PIXELS] + 8 * first
                bias = p[BIAS] + 4 * channel
                tile(image + channel, pixels, p[TAPS], p[PAIR_COUNT], weights, bias, p[FLIP], p[SUMS])
                finish(p[SUMS], rows, 1, p[STAGE], channel, p[CHANNELS], out, p[PLACES] + 8 * first)
