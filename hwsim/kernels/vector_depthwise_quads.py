"""Depthwise convolution by byte dot products: four taps of 64 neighbouring values at a time.

The taps' bytes are interleaved so that four taps of one value lie in one int32 lane. Interleaving leaves lanes in an
order that packing the results to bytes undoes; biases and the output stage's numbers are stored in that order.
Every address and size comes in one int64 array, as in `vector_conv2d`.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_instructions import I8, I16, I32, I64, multiply_add, vector
from hwsim.kernels.vector_output import PACKED, finish_interleaved
from hwsim.kernels.vector_staging import (
    BATCH,
    IMAGE,
    IMAGE_BYTES,
    SIGNED,
    SOURCE,
    SOURCE_BYTES,
    STAGING_FIELDS,
    pointer_to,
    stage_bytes,
    stage_raised,
)
from hwsim.kernels.vector_tile import LANES, QUADS, Loop, integer, load, opaque, store

ROWS = 4
"""Runs of values of a tile."""

WIDTH = PACKED * LANES
"""Values of a run."""

FIELDS = (
    *STAGING_FIELDS, "tiles", "blocks", "runs", "places", "taps", "quad_count", "weights", "block_bytes", "bias",
    "sums", "stage", "channels", "run_values", "out", "out_bytes",
)  # fmt: skip
"""What `vector_depthwise_quads` reads. `blocks` has the number of weights of every tile, `runs` and `places` the first
byte of every run in the image and in the output; weights are packed as (block, quad of taps, vector, lane, tap).
"""

(
    TILES, BLOCKS, RUNS, PLACES, TAPS, QUAD_COUNT, WEIGHTS, BLOCK_BYTES, BIAS, SUMS, STAGE, CHANNELS, RUN_VALUES, OUT,
    OUT_BYTES,
) = range(len(STAGING_FIELDS), len(FIELDS))  # fmt: skip


def lane_order() -> list[int]:
    """The value of a run that each lane of its vectors has, vector after vector."""
    return [16 * part + 4 * v + i for v in range(PACKED) for part in range(LANES // 4) for i in range(4)]


@intrinsic
def tile(typingctx, image, runs, taps, quad_count, weights, bias, sums):
    """Sums of `ROWS` runs that share weights.

    image : address of uint8; runs : address of int64 byte offsets, `ROWS` of them
    taps : address of int64 byte offsets, four a quad; weights : address of int8 (quad, vector, lane, tap)
    bias : address of int32 (vectors, lanes); sums : address of int32 (rows, vectors, lanes), written
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _emit(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), codegen


def _emit(builder: Any, image: Any, runs: Any, taps: Any, quad_count: Any, weights: Any, bias: Any, sums: Any) -> None:
    pointer = I8.as_pointer()
    runs, taps, weights, bias, sums = (builder.inttoptr(a, pointer) for a in (runs, taps, weights, bias, sums))
    wide, packed = vector(I32, LANES), vector(I8, WIDTH)
    addresses = [builder.add(image, load(builder, runs, integer(8 * row), I64)) for row in range(ROWS)]
    bases = [builder.inttoptr(opaque(builder, address, "r"), pointer) for address in addresses]
    start = [load(builder, bias, integer(4 * LANES * v), wide) for v in range(PACKED)]
    loop = Loop(builder, quad_count, start * ROWS)
    first_tap, place = builder.mul(loop.index, integer(32)), builder.mul(loop.index, integer(PACKED * WIDTH))
    offsets = [load(builder, taps, builder.add(first_tap, integer(8 * tap)), I64) for tap in range(4)]
    factors = [load(builder, weights, builder.add(place, integer(WIDTH * v)), packed) for v in range(PACKED)]
    totals = []
    for row, base in enumerate(bases):
        groups = _interleaved(builder, [load(builder, base, offset, packed) for offset in offsets])
        for v, group in enumerate(groups):
            total = loop.values[row * PACKED + v]
            totals.append(multiply_add(builder, total, group, factors[v], LANES, quads=True))
    for number, total in enumerate(loop.end(totals)):
        store(builder, sums, integer(4 * LANES * number), total)


def _interleaved(builder: Any, taps: list[Any]) -> list[Any]:
    """Four vectors of the four taps' bytes side by side, in the order of `lane_order`."""
    halves = []
    for first, second in (taps[:2], taps[2:]):
        both = [_unpacked(builder, first, second, I8, upper) for upper in (False, True)]
        halves.append([builder.bitcast(part, vector(I16, WIDTH // 2)) for part in both])
    words = [
        _unpacked(builder, halves[0][part], halves[1][part], I16, upper) for part in (0, 1) for upper in (False, True)
    ]
    return [builder.bitcast(word, vector(I8, WIDTH)) for word in words]


def _unpacked(builder: Any, first: Any, second: Any, element: Any, upper: bool) -> Any:
    """The elements of two vectors in turn, of the lower or upper half of every 128 bits."""
    count, each = WIDTH * 8 // element.width, 128 // element.width
    order = []
    for part in range(0, count, each):
        begin = part + (each // 2 if upper else 0)
        order += [i + side * count for i in range(begin, begin + each // 2) for side in (0, 1)]
    return builder.shuffle_vector(first, second, ir.Constant(vector(I32, count), order))


@kernel
def vector_depthwise_quads(p):
    """Run one layer. p : int64 array, see `FIELDS`."""
    if QUADS:
        for n in range(p[BATCH]):
            image = p[IMAGE]
            if p[SOURCE] == 0:
                image += n * p[IMAGE_BYTES]
            elif p[SIGNED]:
                stage_raised(p, p[SOURCE] + n * p[SOURCE_BYTES])
            else:
                stage_bytes(p, p[SOURCE] + n * p[SOURCE_BYTES])
            run_tiles(p, image, p[OUT] + n * p[OUT_BYTES])


@kernel
def run_tiles(p, image, out):
    """All tiles of one image."""
    blocks = carray(pointer_to(p[BLOCKS]), (p[TILES],), np.int64)
    for i in range(p[TILES]):
        runs, places, lane = p[RUNS] + 8 * ROWS * i, p[PLACES] + 8 * ROWS * i, blocks[i] * WIDTH
        tile(image, runs, p[TAPS], p[QUAD_COUNT], p[WEIGHTS] + blocks[i] * p[BLOCK_BYTES], p[BIAS] + 4 * lane, p[SUMS])
        finish_interleaved(p[SUMS], ROWS, p[STAGE], lane, p[CHANNELS], out, places, p[RUN_VALUES])
