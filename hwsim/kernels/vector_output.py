"""The output stage on the accumulators of a tile: rounded, clamped, packed to bytes and stored."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwsim.kernels.vector_instructions import I8, I16, I32, I64, vector
from hwsim.kernels.vector_rounding import NUMBERED, Rule
from hwsim.kernels.vector_tile import LANES, Loop, integer, load, splat, store

STAGE_FIELDS = (
    "rounding", "multiplier", "shift", "scale32", "scale64", "number", "zero_point", "minimum", "maximum",
    "thresholds", "threshold_count", "threshold_bytes",
)  # fmt: skip
"""What `finish` reads from its `stage`: an int64 array of these numbers and addresses."""

PACKED = 4
"""Vectors of accumulators that make one vector of bytes."""

PACKS = {
    16: ("llvm.x86.avx512.packssdw.512", "llvm.x86.avx512.packsswb.512"),
    8: ("llvm.x86.avx2.packssdw", "llvm.x86.avx2.packsswb"),
}


@intrinsic
def finish(typingctx, sums, rows, vectors, stage, channel, channels, out, places):
    """Turn the sums of a tile into bytes.

    sums : address of int32 (rows, vectors * lanes); stage : address of int64, see `STAGE_FIELDS`
    channel, channels : the tile's first channel, and how many there are in all; lanes beyond them are not stored
    out : address; places : address of int64, for each row the byte that its first channel goes to
    """
    signature = types.void(*[types.int64] * 8)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        code = _Finish(builder, *args)
        code.over_rules(code.by_vectors)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def finish_interleaved(typingctx, sums, rows, stage, channel, channels, out, places, left):
    """As `finish`, for rows of four vectors of sums whose order packing to bytes undoes; the stage has it too.

    channel : where the rows' numbers begin in these arrays; left : how many bytes of a row to store
    """
    signature = types.void(*[types.int64] * 8)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, rows, stage, channel, channels, out, places, left = args
        code = _Finish(builder, sums, rows, integer(PACKED), stage, channel, channels, out, places)
        code.over_rules(lambda kind: code.rows_of_four(kind, left))
        return context.get_dummy_value()

    return signature, codegen


class _Finish:
    """The code that stores one tile."""

    def __init__(self, builder: Any, sums: Any, rows: Any, vectors: Any, stage: Any, channel: Any, channels: Any,
                 out: Any, places: Any) -> None:  # fmt: skip
        pointer = I8.as_pointer()
        self.builder, self.rows, self.vectors, self.channel, self.channels = builder, rows, vectors, channel, channels
        self.sums, stage, self.out, self.places = (builder.inttoptr(a, pointer) for a in (sums, stage, out, places))
        self.fields = {name: load(builder, stage, integer(8 * i), I64) for i, name in enumerate(STAGE_FIELDS)}
        self.spill = cgutils.alloca_once(builder, vector(I8, PACKED * LANES))

    def over_rules(self, emit: Callable[[type[Rule]], None]) -> None:
        """The code of the rule that the stage names."""
        builder = self.builder
        done = builder.append_basic_block()
        cases = [(number, builder.append_basic_block(), kind) for number, kind in NUMBERED]
        choice = builder.switch(self.fields["rounding"], cases[0][1])
        for number, block, kind in cases:
            choice.add_case(integer(number), block)
            builder.position_at_end(block)
            emit(kind)
            builder.branch(done)
        builder.position_at_end(done)

    def by_vectors(self, kind: type[Rule]) -> None:
        """One vector of channels after the other, of every row."""
        over_vectors = Loop(self.builder, self.vectors, [])
        first = self.builder.add(self.channel, self.builder.mul(over_vectors.index, integer(LANES)))
        self._rows_of_one(kind, over_vectors.index, first)
        over_vectors.end([])

    def _left(self, first: Any) -> Any:
        """How many channels there are from `first` on."""
        beyond = self.builder.icmp_signed(">", first, self.channels)
        return self.builder.select(beyond, integer(0), self.builder.sub(self.channels, first))

    def rows_of_four(self, kind: type[Rule], left: Any) -> None:
        """One row after the other, each of four vectors."""
        builder = self.builder
        firsts = [builder.add(self.channel, integer(LANES * v)) for v in range(PACKED)]
        rules = [kind(builder, self.fields, first, self.channels) for first in firsts]
        packing = _Packing(builder, self.fields)
        over_rows = Loop(builder, self.rows, [])
        start = builder.mul(over_rows.index, integer(PACKED * 4 * LANES))
        sums = [self._sums(builder.add(start, integer(4 * LANES * v))) for v in range(PACKED)]
        codes = packing.bytes_of([rule.moved(total) for rule, total in zip(rules, sums, strict=True)])
        self._store(codes, self._place(over_rows.index), left, PACKED * LANES)
        over_rows.end([])

    def _rows_of_one(self, kind: type[Rule], number: Any, first: Any) -> None:
        """One row after the other of one vector of channels."""
        builder, left = self.builder, self._left(first)
        rule = kind(builder, self.fields, first, self.channels)
        over_rows = Loop(builder, self.rows, [])
        index = builder.add(builder.mul(over_rows.index, self.vectors), number)
        total = self._sums(builder.mul(index, integer(4 * LANES)))
        self._store(rule.codes(total), builder.add(self._place(over_rows.index), first), left, LANES)
        over_rows.end([])

    def _sums(self, place: Any) -> Any:
        return load(self.builder, self.sums, place, vector(I32, LANES))

    def _place(self, row: Any) -> Any:
        return load(self.builder, self.places, self.builder.mul(row, integer(8)), I64)

    def _store(self, codes: Any, place: Any, left: Any, size: int) -> None:
        """Store `size` codes at a byte of the output, only the first `left` of them where there are fewer."""
        builder = self.builder
        with builder.if_else(builder.icmp_signed(">=", left, integer(size))) as (whole, part):
            with whole:
                store(builder, self.out, place, codes)
            with part:
                spill = builder.bitcast(self.spill, I8.as_pointer())
                store(builder, spill, integer(0), codes)
                at = integer(0)
                while size := size // 2:
                    with builder.if_then(builder.icmp_signed("!=", builder.and_(left, integer(size)), integer(0))):
                        store(builder, self.out, builder.add(place, at), load(builder, spill, at, vector(I8, size)))
                    at = builder.add(at, builder.and_(left, integer(size)))


class _Packing:
    """Four vectors of int32 to one of bytes, limited to the stage's codes.

    Through saturating instructions, which know signed codes alone: unsigned ones are lowered by 128 on the way.
    """

    def __init__(self, builder: Any, fields: dict[str, Any]) -> None:
        self.builder = builder
        unsigned = builder.icmp_signed(">", fields["maximum"], integer(127))
        lowered = builder.select(unsigned, integer(128), integer(0))
        self.lowered = splat(builder, builder.trunc(lowered, I16), 2 * LANES)
        self.flip = splat(builder, builder.trunc(lowered, I8), PACKED * LANES)
        self.low, self.high = (
            splat(builder, builder.trunc(builder.sub(fields[name], lowered), I8), PACKED * LANES)
            for name in ("minimum", "maximum")
        )

    def bytes_of(self, values: list[Any]) -> Any:
        """In every 16 bytes: four from each of `values`, in their order."""
        builder = self.builder
        halves = [_narrow(builder, values[i], values[i + 1], PACKS[LANES][0], I32, LANES) for i in (0, 2)]
        lowered = [_less(builder, half, self.lowered) for half in halves]
        codes = _narrow(builder, lowered[0], lowered[1], PACKS[LANES][1], I16, 2 * LANES)
        codes = builder.select(builder.icmp_signed("<", codes, self.low), self.low, codes)
        codes = builder.select(builder.icmp_signed(">", codes, self.high), self.high, codes)
        return builder.xor(codes, self.flip)


def _narrow(builder: Any, first: Any, second: Any, name: str, element: Any, lanes: int) -> Any:
    """Both vectors in one of half the width, saturated, 128 bits of one and of the other in turn."""
    narrow = vector(I16 if element is I32 else I8, 2 * lanes)
    kind = ir.FunctionType(narrow, [vector(element, lanes)] * 2)
    return builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [first, second])


def _less(builder: Any, value: Any, amount: Any) -> Any:
    """The saturated difference of int16 vectors."""
    name = f"llvm.ssub.sat.v{2 * LANES}i16"
    kind = ir.FunctionType(value.type, [value.type] * 2)
    return builder.call(builder.module.globals.get(name) or ir.Function(builder.module, kind, name), [value, amount])
