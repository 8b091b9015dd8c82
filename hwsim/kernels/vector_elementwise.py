"""Products of two tensors of bytes by the output stage, and the choice of one of two codes.

A last vector that is not whole is computed again over the bytes before it, so tensors must have at least one vector;
shorter ones are left to the portable kernels.
"""

from typing import Any

import numpy as np
from numba import carray, types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_addition import centered
from hwsim.kernels.vector_instructions import I8, I32, I64
from hwsim.kernels.vector_output import STAGE_FIELDS
from hwsim.kernels.vector_rounding import NUMBERED
from hwsim.kernels.vector_staging import pointer_to
from hwsim.kernels.vector_tile import LANES, Loop, integer, load, splat, store

MULTIPLY_FIELDS = ("first", "second", "out", "size", "flip", "first_zero", "second_zero", "stage")
"""What `vector_multiply` reads. The stage's arrays have one vector."""

CHOOSE_FIELDS = ("first", "second", "out", "size", "flip", "smaller")


@intrinsic
def multiply_span(typingctx, start, count, fields):
    """`count` >= 1 vectors of products from byte `start` on. fields : address of int64, see `MULTIPLY_FIELDS`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _emit(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


def _emit(builder: Any, start: Any, count: Any, fields: Any) -> None:
    pointer = I8.as_pointer()
    base = builder.inttoptr(fields, pointer)
    plain = {name: load(builder, base, integer(8 * i), I64) for i, name in enumerate(MULTIPLY_FIELDS)}
    first, second, out, stage = (builder.inttoptr(plain[n], pointer) for n in ("first", "second", "out", "stage"))
    numbers = {name: load(builder, stage, integer(8 * i), I64) for i, name in enumerate(STAGE_FIELDS)}
    flip = splat(builder, builder.trunc(plain["flip"], I8), LANES)
    zeros = [splat(builder, builder.trunc(plain[name], I32), LANES) for name in ("first_zero", "second_zero")]
    done = builder.append_basic_block()
    cases = [(number, builder.append_basic_block(), kind) for number, kind in NUMBERED]
    choice = builder.switch(numbers["rounding"], cases[0][1])
    for number, block, kind in cases:
        choice.add_case(integer(number), block)
        builder.position_at_end(block)
        rule = kind(builder, numbers, integer(0), integer(LANES))
        over = Loop(builder, count, [])
        at = builder.add(start, builder.mul(over.index, integer(LANES)))
        left, right = (
            centered(builder, base, at, flip, zero) for base, zero in zip((first, second), zeros, strict=True)
        )
        store(builder, out, at, rule.codes(builder.mul(left, right)))
        over.end([])
        builder.branch(done)
    builder.position_at_end(done)


@kernel
def vector_multiply(p):
    """The product of two tensors. p : int64 array, see `MULTIPLY_FIELDS`."""
    size, address = p[3], p.ctypes.data
    multiply_span(0, size // LANES, address)
    if size % LANES:
        multiply_span(size - LANES, 1, address)


@kernel
def vector_choose(p):
    """The larger, or the `smaller`, of two codes; `flip` turns unsigned into signed. p : int64, see `CHOOSE_FIELDS`."""
    first = carray(pointer_to(p[0]), (p[3],), np.uint8)
    second = carray(pointer_to(p[1]), (p[3],), np.uint8)
    out = carray(pointer_to(p[2]), (p[3],), np.uint8)
    flip = np.uint8(p[4])
    if p[5]:
        for i in range(p[3]):
            out[i] = np.uint8(min(np.int8(first[i] ^ flip), np.int8(second[i] ^ flip))) ^ flip
    else:
        for i in range(p[3]):
            out[i] = np.uint8(max(np.int8(first[i] ^ flip), np.int8(second[i] ^ flip))) ^ flip
