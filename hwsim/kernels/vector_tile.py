"""Register-blocked products of a few pixels with a few vectors of output channels, and the output stage after them.

`tile_<rows>x<vectors>` sums `rows` pixels times `vectors` vectors of channels in registers. Weights are packed as
[step][vector][lane][group]: a step takes `group` neighbouring values of the image.
Each function is LLVM IR, because Numba's own vectorizer finds neither the blocking nor the instruction.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from hwsim.kernels.vector_instructions import I8, I16, I32, I64, host, multiply_add, vector

LANES, QUADS = host()
"""Int32 lanes of a vector, 0 without vector kernels; and whether bytes can be multiplied without widening."""


REGISTER = "v" if LANES == 16 else "x"
"""The constraint of a vector register in inline assembly."""


def integer(value: int, kind: Any = I64) -> Any:
    """An LLVM integer constant."""
    return ir.Constant(kind, value)


def splat(builder: Any, value: Any, lanes: int) -> Any:
    """A vector that holds one value in every lane."""
    kind = vector(value.type, lanes)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, integer(0, I32))
    return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), ir.Constant(vector(I32, lanes), [0] * lanes))


def opaque(builder: Any, value: Any, register: str) -> Any:
    """`value`, of which the optimizer knows nothing more: it stays in a register where it is made.

    Otherwise LLVM takes the rows' addresses apart again and keeps the parts in memory, and broadcasts after the
    exclusive or instead of while loading. register : the constraint of the register, as in inline assembly
    """
    kind = ir.FunctionType(value.type, [value.type])
    return builder.asm(kind, "", f"={register},0", [value], True)


def load(builder: Any, base: Any, offset: Any, kind: Any) -> Any:
    """Load a `kind` at `base` plus `offset` bytes, unaligned."""
    place = builder.gep(base, [offset])
    return builder.load(builder.bitcast(place, kind.as_pointer()), align=1)


def store(builder: Any, base: Any, offset: Any, value: Any) -> None:
    """Store a value at `base` plus `offset` bytes, unaligned."""
    place = builder.gep(base, [offset])
    builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=1)


class Loop:
    """A counted loop `for index in range(count)`, count >= 1, with values carried from turn to turn."""

    def __init__(self, builder: Any, count: Any, carried: list[Any]) -> None:
        self.builder, self.count = builder, count
        before = builder.block
        self.body, self.after = builder.append_basic_block(), builder.append_basic_block()
        builder.branch(self.body)
        builder.position_at_end(self.body)
        self.index = builder.phi(I64)
        self.index.add_incoming(integer(0), before)
        self.values = [builder.phi(value.type) for value in carried]
        for phi, value in zip(self.values, carried, strict=True):
            phi.add_incoming(value, before)

    def end(self, values: list[Any]) -> list[Any]:
        """Close the loop with the values for the next turn; what they are after it."""
        builder, end = self.builder, self.builder.block
        following = builder.add(self.index, integer(1))
        self.index.add_incoming(following, end)
        for phi, value in zip(self.values, values, strict=True):
            phi.add_incoming(value, end)
        builder.cbranch(builder.icmp_signed("<", following, self.count), self.body, self.after)
        builder.position_at_end(self.after)
        return values


def make_tile(rows: int, vectors: int, quads: bool) -> Any:
    """An intrinsic (image, pixels, steps, step_count, weights, bias, flip, sums) for one tile.

    quads : four bytes a lane (VNNI) instead of two int16

    image : address; pixels : address of int64 byte offsets, `rows` of them
    steps : address of int64 byte offsets, from a pixel to the group of its values that each step takes
    bias : address of int32, one per channel of the tile, what the sums begin with
    flip : int32, exclusive-ored onto every group of the image's bytes (turns int8 codes into uint8)
    sums : address of int32 (rows, vectors * lanes), written
    """

    @intrinsic
    def tile(typingctx, image, pixels, steps, step_count, weights, bias, flip, sums):
        signature = types.void(*[types.int64] * 8)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            _emit_tile(builder, args, rows, vectors, quads)
            return context.get_dummy_value()

        return signature, codegen

    return tile


def _emit_tile(builder: Any, args: Any, rows: int, vectors: int, quads: bool) -> None:
    image, pixels, steps, step_count, weights, bias, flip, sums = args
    pointer = I8.as_pointer()
    pixels, steps, weights, bias, sums = (builder.inttoptr(a, pointer) for a in (pixels, steps, weights, bias, sums))
    flip = splat(builder, builder.trunc(flip, I32), LANES)
    wide, packed = vector(I32, LANES), vector(I8, 4 * LANES) if quads else vector(I16, 2 * LANES)
    start = [load(builder, bias, integer(4 * LANES * v), wide) for v in range(vectors)]
    addresses = [builder.add(image, load(builder, pixels, integer(8 * row), I64)) for row in range(rows)]
    bases = [builder.inttoptr(opaque(builder, address, "r"), pointer) for address in addresses]
    loop = Loop(builder, step_count, start * rows)
    place = builder.mul(loop.index, integer(4 * LANES * vectors))
    column = [load(builder, weights, builder.add(place, integer(4 * LANES * v)), packed) for v in range(vectors)]
    within = load(builder, steps, builder.mul(loop.index, integer(8)), I64)
    results = []
    for row in range(rows):
        group = opaque(builder, splat(builder, load(builder, bases[row], within, I32), LANES), REGISTER)
        left = builder.bitcast(builder.xor(group, flip), packed)
        for v in range(vectors):
            total = loop.values[row * vectors + v]
            results.append(multiply_add(builder, total, left, column[v], LANES, quads))
    for number, value in enumerate(loop.end(results)):
        store(builder, sums, integer(4 * LANES * number), value)
