"""Sums of table entries in registers: a permutation of 16 bits is 32 look-ups. Portable: `partial_sums`.

Every group of inputs of an image has a table of 16 entries; a weight's code chooses one. A step takes four neighbouring
groups: the entries of two and two are added in 16 bits, so an entry must be within 15, and these sums times what the
step is worth go to int32. So wider entries are two steps, their low and their high part, and planes of bits are steps
worth 1, 2, 4, ...
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_instructions import I8, I16, I32, I64, multiply_add, vector
from hwsim.kernels.vector_tile import LANES, Loop, integer, load, opaque, splat, store

ENTRIES, GROUPS = 16, 4
"""Entries of a table, and groups of a step."""

TABLE_BYTES = 2 * ENTRIES
LARGEST_ENTRY = (1 << 14) - 1
HIGH_WORTH = 1 << 14
"""What a unit of the high part of an entry is worth that has two."""

AVAILABLE = LANES == 16
"""Whether this processor looks up words in a whole register (AVX-512 BW)."""

TILE_ROWS = (0, 8, 6, 5, 4)
"""Pixels of a tile for each number of vectors of channels."""

MOST_ROWS = max(TILE_ROWS)

_PERMUTE = "llvm.x86.avx512.permvar.hi.512"


def make_entry_tile(rows: int, vectors: int, shared: bool) -> Any:
    """An intrinsic (image, tables, pixels, steps, step_count, codes, worths, bias, sums, row_bytes) for one tile.

    shared : whether the image has, for every two groups, the uint16 offset of their tables from `tables` on; else it
        has the tables themselves
    image, tables : addresses; pixels, steps : addresses of int64 byte offsets, of a pixel and from it to the groups of
        a step
    codes : address of uint8 (steps, vectors, lanes, 2, 2), see `pack_entry_codes`; worths : address of int16 (steps, 2)
    bias : address of int32, one per channel of the tile; sums : address of int32 (rows, vectors * lanes), written, rows
        `row_bytes` apart
    """

    @intrinsic
    def tile(typingctx, image, tables, pixels, steps, step_count, codes, worths, bias, sums, row_bytes):
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit_tile(builder, args, rows, vectors, shared)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 10), codegen

    return tile


def _emit_tile(builder: Any, args: Any, rows: int, vectors: int, shared: bool) -> None:
    image, tables, pixels, steps, step_count, codes, worths, bias, sums, row_bytes = args
    pointer, wide, words, size = I8.as_pointer(), vector(I32, LANES), vector(I16, 2 * LANES), 4 * LANES
    tables, pixels, steps, codes, worths, bias, sums = (
        builder.inttoptr(a, pointer) for a in (tables, pixels, steps, codes, worths, bias, sums)
    )
    start = [load(builder, bias, integer(size * v), wide) for v in range(vectors)]
    addresses = [builder.add(image, load(builder, pixels, integer(8 * row), I64)) for row in range(rows)]
    bases = [builder.inttoptr(opaque(builder, address, "r"), pointer) for address in addresses]
    loop = Loop(builder, step_count, start * rows)
    place = builder.mul(loop.index, integer(size * vectors))
    firsts = [load(builder, codes, builder.add(place, integer(size * v)), words) for v in range(vectors)]
    seconds = [builder.lshr(places, ir.Constant(words, [8] * 2 * LANES)) for places in firsts]
    within = load(builder, steps, builder.mul(loop.index, integer(8)), I64)
    worth = splat(builder, load(builder, worths, builder.mul(loop.index, integer(4)), I32), LANES)
    worth = builder.bitcast(worth, words)
    results = []
    for row in range(rows):
        halves = [_tables(builder, bases[row], within, half, tables if shared else None) for half in range(2)]
        for v in range(vectors):
            pair = builder.add(_look_up(builder, halves[0], firsts[v]), _look_up(builder, halves[1], seconds[v]))
            results.append(multiply_add(builder, loop.values[row * vectors + v], pair, worth, LANES, quads=False))
    for number, value in enumerate(loop.end(results)):
        row, v = divmod(number, vectors)
        store(builder, sums, builder.add(builder.mul(row_bytes, integer(row)), integer(size * v)), value)


def _tables(builder: Any, base: Any, within: Any, half: int, shared: Any) -> Any:
    """The tables of two groups of a step in one register."""
    words = vector(I16, 2 * ENTRIES)
    if shared is None:
        return load(builder, base, builder.add(within, integer(2 * TABLE_BYTES * half)), words)
    offset = load(builder, base, builder.add(within, integer(2 * half)), I16)
    return load(builder, shared, builder.zext(offset, I64), words)


def _look_up(builder: Any, table: Any, codes: Any) -> Any:
    """The table's word at the low five bits of each of `codes`."""
    kind = ir.FunctionType(table.type, [table.type] * 2)
    permute = builder.module.globals.get(_PERMUTE) or ir.Function(builder.module, kind, _PERMUTE)
    return builder.call(permute, [table, codes])


if AVAILABLE:
    shared_1, shared_2, shared_3, shared_4 = (make_entry_tile(TILE_ROWS[v], v, True) for v in (1, 2, 3, 4))
    own_1, own_2, own_3, own_4 = (make_entry_tile(TILE_ROWS[v], v, False) for v in (1, 2, 3, 4))
    shared_single, own_single = (make_entry_tile(1, 4, shared) for shared in (True, False))


@kernel
def sum_entries(image, tables, pixels, steps, codes, worths, bias, out):
    """Sums of what codes choose: out[p, c] = bias[c] + sum over steps s and groups g < 4 of worths[s] * the entry of
    the table of the g-th group from pixels[p] + steps[s] on that channel c's code chooses. Only where `AVAILABLE`.

    image : a table for every group, int16 (groups, 16), or uint16 (pairs of groups, 1), byte offsets in `tables`
    tables : int16 (count, 32), those of two groups; each entry within `LARGEST_ENTRY`
    pixels : int64, byte offsets in the image; its last is repeated `MOST_ROWS` times, for tiles that are not full
    steps : int64, byte offsets from a pixel on; worths : int16 (steps,)
    codes : uint8 (blocks, steps, vectors, lanes, 2, 2), see `pack_entry_codes`
    bias : int32 (channels,); out : int32 (pixels, channels), contiguous, which the sums must fit

    Tables and codes that begin at a multiple of 64 bytes are read twice as fast.
    """
    blocks, step_count, vectors, lanes, _, _ = codes.shape
    count, channels = out.shape
    width, shared = vectors * lanes, np.int64(image.shape[1] == 1)
    rows = TILE_ROWS[vectors] if count > 1 or vectors < len(TILE_ROWS) - 1 else 1
    pairs = np.repeat(worths, 2)
    starts, sums = np.zeros(blocks * width, np.int32), np.empty((rows, width), np.int32)
    starts[:channels] = bias
    for block in range(blocks):
        start, stop = block * width, min((block + 1) * width, channels)
        for first in range(0, count, rows):
            direct = first + rows <= count and stop - start == width
            _run_tile(
                image.ctypes.data, tables.ctypes.data, pixels.ctypes.data + 8 * first, steps.ctypes.data, step_count,
                codes[block].ctypes.data, pairs.ctypes.data, starts.ctypes.data + 4 * start,
                out.ctypes.data + 4 * (first * channels + start) if direct else sums.ctypes.data,
                4 * channels if direct else 4 * width, 10 * shared + (vectors if rows > 1 else 0),
            )  # fmt: skip
            if not direct:
                for row in range(min(rows, count - first)):
                    for c in range(start, stop):
                        out[first + row, c] = sums[row, c - start]


@kernel
def _run_tile(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes, kind):
    """The tile of a kind: its vectors, 0 for a single pixel, and 10 more for shared tables."""
    if kind == 0:
        own_single(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    elif kind == 1:
        own_1(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    elif kind == 2:
        own_2(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    elif kind == 3:
        own_3(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    elif kind == 4:
        own_4(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    elif kind == 10:
        shared_single(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    elif kind == 11:
        shared_1(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    elif kind == 12:
        shared_2(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    elif kind == 13:
        shared_3(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)
    else:
        shared_4(image, tables, pixels, steps, count, codes, worths, bias, sums, row_bytes)


@kernel
def pack_entry_codes(codes, out):
    """Codes as `sum_entries` takes them: the place of the entry in its register, which holds two tables.

    codes : uint8 (channels, taps, repeats, groups), each below 16; out : uint8 (blocks, steps, vectors, lanes, 2, 2),
        written everywhere, also for groups that are missing: for every tap steps of four of its groups, 0 and 2, 1 and
        3, each of them in `repeats`
    """
    _, _, vectors, lanes, _, _ = out.shape
    channels, taps, repeats, groups = codes.shape
    steps = (groups + GROUPS - 1) // GROUPS
    out[:, :, :, :, 0], out[:, :, :, :, 1] = np.uint8(0), np.uint8(ENTRIES)
    for c in range(channels):
        block, v, lane = c // (vectors * lanes), c // lanes % vectors, c % lanes
        for tap in range(taps):
            for r in range(repeats):
                for g in range(groups):
                    place = np.int64(codes[c, tap, r, g]) + np.int64(ENTRIES) * np.int64(g % 2)
                    step = (tap * steps + g // GROUPS) * repeats + r
                    out[block, step, v, lane, g % 2, g // 2 % 2] = np.uint8(place)
