"""Convolution and fully connected layers of signs, by register tiles: 32 products are an XOR and a count of bits.

Bit 1 stands for +1 in images and weights alike, and what is outside an image counts as 0: a second image of bits, made
once, says which bits count. A sum is how many do, less twice how many of them differ.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_instructions import I8, I32, I64, vector
from hwsim.kernels.vector_output import finish
from hwsim.kernels.vector_tile import LANES, REGISTER, Loop, integer, load, opaque, splat, store

TILE_ROWS = {1: 8, 2: 8, 3: 8, 4: 6} if LANES == 16 else {1: 6, 2: 4}
"""Pixels of a tile for each number of vectors of channels."""

WORD_BYTES = 4
PACKED = 64
"""Codes that become bits at once."""

FIELDS = (
    "batch", "source", "source_bytes", "height", "runs", "run_codes", "run_bytes", "image", "staged_row", "top",
    "left", "mask", "pixels", "counts", "pixel_count", "tile_rows", "steps", "step_count", "valid", "weights",
    "block_bytes", "blocks", "vectors", "channels", "bias", "sums", "stage", "out", "out_bytes", "places",
)  # fmt: skip
"""What `vector_binary_conv2d` reads. A row of an image is so many `runs` of codes, each packed from a byte on: the
whole row where pixels have whole bytes, else every pixel.
"""

(
    BATCH, SOURCE, SOURCE_BYTES, HEIGHT, RUNS, RUN_CODES, RUN_BYTES, IMAGE, STAGED_ROW, TOP,
    LEFT, MASK, PIXELS, COUNTS, PIXEL_COUNT, _TILE_ROWS, STEPS, STEP_COUNT, VALID, WEIGHTS,
    BLOCK_BYTES, BLOCKS, VECTORS, CHANNELS, BIAS, SUMS, STAGE, OUT, OUT_BYTES, PLACES,
) = range(len(FIELDS))  # fmt: skip


def make_sign_tile(rows: int, vectors: int) -> Any:
    """An intrinsic (image, mask, pixels, counts, steps, step_count, valid, weights, bias, sums) for one tile.

    image, mask : addresses of bits; pixels, steps : as for `vector_tile.make_tile`, a step takes 32 bits
    counts : address of int32, for each pixel how many of its bits count
    valid : address of uint32, for each step the bits that count; weights : address of uint32 (steps, vectors, lanes)
    bias : address of int32, one per channel; sums : address of int32 (rows, vectors * lanes), written
    """

    @intrinsic
    def tile(typingctx, image, mask, pixels, counts, steps, step_count, valid, weights, bias, sums):
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit_tile(builder, args, rows, vectors)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), codegen

    return tile


def _emit_tile(builder: Any, args: Any, rows: int, vectors: int) -> None:
    image, mask, pixels, counts, steps, step_count, valid, weights, bias, sums = args
    pointer, wide = I8.as_pointer(), vector(I32, LANES)
    pixels, counts, steps, valid, weights, bias, sums = (
        builder.inttoptr(a, pointer) for a in (pixels, counts, steps, valid, weights, bias, sums)
    )
    distance = builder.sub(mask, image)
    addresses = [builder.add(image, load(builder, pixels, integer(8 * row), I64)) for row in range(rows)]
    bases = [builder.inttoptr(opaque(builder, address, "r"), pointer) for address in addresses]
    loop = Loop(builder, step_count, [ir.Constant(wide, [0] * LANES)] * (rows * vectors))
    place = builder.mul(loop.index, integer(WORD_BYTES * LANES * vectors))
    column = [load(builder, weights, builder.add(place, integer(WORD_BYTES * LANES * v)), wide) for v in range(vectors)]
    within = load(builder, steps, builder.mul(loop.index, integer(8)), I64)
    valid_bits = _broadcast(builder, valid, builder.mul(loop.index, integer(WORD_BYTES)))
    results = []
    for row in range(rows):
        signs = _broadcast(builder, bases[row], within)
        bits = builder.and_(_broadcast(builder, bases[row], builder.add(within, distance)), valid_bits)
        for v in range(vectors):
            differ = builder.and_(builder.xor(signs, column[v]), bits)
            results.append(builder.add(loop.values[row * vectors + v], _count(builder, differ)))
    for number, differ in enumerate(loop.end(results)):
        row, v = divmod(number, vectors)
        count = splat(builder, load(builder, counts, integer(4 * row), I32), LANES)
        start = builder.add(load(builder, bias, integer(4 * LANES * v), wide), count)
        twice = builder.shl(differ, ir.Constant(wide, [1] * LANES))
        store(builder, sums, integer(4 * LANES * number), builder.sub(start, twice))


def _broadcast(builder: Any, base: Any, offset: Any) -> Any:
    """32 bits at an address in every lane."""
    return opaque(builder, splat(builder, load(builder, base, offset, I32), LANES), REGISTER)


def _count(builder: Any, bits: Any) -> Any:
    """How many bits of every lane are set."""
    name, kind = f"llvm.ctpop.v{LANES}i32", ir.FunctionType(bits.type, [bits.type])
    return builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [bits])


@intrinsic
def pack_codes_to_bits(typingctx, source, target, count):
    """`count` >= 1 times 64 bytes to 64 bits, 1 where a byte is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, target = (builder.inttoptr(address, I8.as_pointer()) for address in args[:2])
        over = Loop(builder, args[2], [])
        codes = load(builder, source, builder.mul(over.index, integer(PACKED)), vector(I8, PACKED))
        bits = builder.icmp_unsigned("!=", codes, ir.Constant(codes.type, [0] * PACKED))
        store(builder, target, builder.mul(over.index, integer(8)), builder.bitcast(bits, I64))
        over.end([])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


if LANES:
    signs_1, signs_2 = make_sign_tile(TILE_ROWS[1], 1), make_sign_tile(TILE_ROWS[2], 2)
    signs_single = make_sign_tile(1, max(TILE_ROWS))
if LANES == 16:
    signs_3, signs_4 = make_sign_tile(TILE_ROWS[3], 3), make_sign_tile(TILE_ROWS[4], 4)
elif LANES:
    signs_3, signs_4 = signs_1, signs_2


@kernel
def vector_binary_conv2d(p):
    """Run one layer. p : int64 array, see `FIELDS`."""
    for n in range(p[BATCH]):
        stage_signs(p, p[SOURCE] + n * p[SOURCE_BYTES])
        out = p[OUT] + n * p[OUT_BYTES]
        for block in range(p[BLOCKS]):
            channel = block * p[VECTORS] * LANES
            weights = p[WEIGHTS] + block * p[BLOCK_BYTES]
            for first in range(0, p[PIXEL_COUNT], p[_TILE_ROWS]):
                run_sign_tile(p, p[PIXELS] + 8 * first, p[COUNTS] + 4 * first, weights, p[BIAS] + 4 * channel)
                rows = min(p[_TILE_ROWS], p[PIXEL_COUNT] - first)
                finish(p[SUMS], rows, p[VECTORS], p[STAGE], channel, p[CHANNELS], out, p[PLACES] + 8 * first)


@kernel
def stage_signs(p, source):
    """The bits of one image; reads up to 63 bytes beyond it, and writes as many bits beyond a row's, in order."""
    for y in range(p[HEIGHT]):
        line = p[IMAGE] + (y + p[TOP]) * p[STAGED_ROW] + p[LEFT]
        for _ in range(p[RUNS]):
            pack_codes_to_bits(source, line, (p[RUN_CODES] + PACKED - 1) // PACKED)
            source += p[RUN_CODES]
            line += p[RUN_BYTES]


@kernel
def run_sign_tile(p, pixels, counts, weights, bias):
    """The tile for this layer's number of vectors."""
    image, mask, steps, count, valid, sums = p[IMAGE], p[MASK], p[STEPS], p[STEP_COUNT], p[VALID], p[SUMS]
    if p[_TILE_ROWS] == 1:
        signs_single(image, mask, pixels, counts, steps, count, valid, weights, bias, sums)
    elif p[VECTORS] == 1:
        signs_1(image, mask, pixels, counts, steps, count, valid, weights, bias, sums)
    elif p[VECTORS] == 2:
        signs_2(image, mask, pixels, counts, steps, count, valid, weights, bias, sums)
    elif p[VECTORS] == 3:
        signs_3(image, mask, pixels, counts, steps, count, valid, weights, bias, sums)
    else:
        signs_4(image, mask, pixels, counts, steps, count, valid, weights, bias, sums)
