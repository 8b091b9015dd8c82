"""The output stage on vectors of accumulators: the rules of `requantize`, written once more for whole registers.

Plain LLVM vector arithmetic, which every processor's code generator knows; the tests compare it with `requantize`.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from hwsim.kernels.requantize import ROUNDINGS
from hwsim.kernels.vector_instructions import F32, F64, I8, I32, I64, vector
from hwsim.kernels.vector_tile import LANES, Loop, integer, load, splat, store

STAGE_FIELDS = ("rounding", "multiplier", "shift", "scale32", "scale64", "zero_point", "minimum", "maximum")
"""What `finish` reads from its `stage`: an int64 array of these numbers and addresses."""


@intrinsic
def finish(typingctx, sums, rows, vectors, stage, channel, channels, out, places):
    """Turn the sums of a tile into bytes.

    sums : address of int32 (rows, vectors * lanes); stage : address of int64, see `STAGE_FIELDS`
    channel, channels : the tile's first channel, and how many there are in all; lanes beyond them are not stored
    out : address; places : address of int64, for each row the byte that its first channel goes to
    """
    signature = types.void(*[types.int64] * 8)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _emit_finish(builder, *args)
        return context.get_dummy_value()

    return signature, codegen


def _emit_finish(builder: Any, sums: Any, rows: Any, vectors: Any, stage: Any, channel: Any, channels: Any,
                 out: Any, places: Any) -> None:  # fmt: skip
    pointer, wide = I8.as_pointer(), vector(I32, LANES)
    sums, stage, out, places = (builder.inttoptr(a, pointer) for a in (sums, stage, out, places))
    fields = {name: load(builder, stage, integer(8 * i), I64) for i, name in enumerate(STAGE_FIELDS)}
    spill = cgutils.alloca_once(builder, vector(I8, LANES))
    over_vectors = Loop(builder, vectors, [])
    first = builder.add(channel, builder.mul(over_vectors.index, integer(LANES)))
    beyond = builder.icmp_signed(">", first, channels)
    left = builder.select(beyond, integer(0), builder.sub(channels, first))
    done = builder.append_basic_block()
    cases = [(number, builder.append_basic_block(), kind) for number, kind in _CASES]
    choice = builder.switch(fields["rounding"], cases[0][1])
    for number, block, kind in cases:
        choice.add_case(integer(number), block)
        builder.position_at_end(block)
        rule = kind(builder, fields, first, channels)
        over_rows = Loop(builder, rows, [])
        place = builder.add(builder.mul(over_rows.index, vectors), over_vectors.index)
        accumulator = load(builder, sums, builder.mul(place, integer(4 * LANES)), wide)
        row_place = load(builder, places, builder.mul(over_rows.index, integer(8)), I64)
        _store_codes(builder, out, builder.add(row_place, first), rule.codes(accumulator), left, spill)
        over_rows.end([])
        builder.branch(done)
    builder.position_at_end(done)
    over_vectors.end([])


class _Rule:
    """A rounding on one vector of channels: its numbers loaded once, then `rounded` for every accumulator."""

    def __init__(self, builder: Any, fields: dict[str, Any], first: Any, channels: Any) -> None:
        self.builder, self.fields, self.first, self.channels = builder, fields, first, channels
        self.zero_point, self.minimum, self.maximum = (
            splat(builder, builder.trunc(fields[name], I32), LANES) for name in ("zero_point", "minimum", "maximum")
        )
        self.prepare()

    def prepare(self) -> None:
        """Load what `rounded` needs."""
        raise NotImplementedError

    def rounded(self, accumulator: Any) -> Any:
        """The rounded int32 vector, before the zero point."""
        raise NotImplementedError

    def codes(self, accumulator: Any) -> Any:
        """The vector of output bytes."""
        return self.limited(self.rounded(accumulator))

    def limited(self, value: Any) -> Any:
        """Moved by the zero point, clamped, narrowed to bytes."""
        builder = self.builder
        return clamped_bytes(builder, builder.add(value, self.zero_point), self.minimum, self.maximum)

    def channel(self, name: str, element: Any, size: int) -> Any:
        """The part of the array `name` that belongs to these channels."""
        base = self.builder.inttoptr(self.fields[name], I8.as_pointer())
        return load(self.builder, base, self.builder.mul(self.first, integer(size)), vector(element, LANES))


class _Double(_Rule):
    """Two roundings, the second away from zero."""

    def prepare(self) -> None:
        builder, zero = self.builder, splat_all(0, I32)
        shift = self.channel("shift", I32, 4)
        self.to_left = builder.select(builder.icmp_signed(">", shift, zero), shift, zero)
        self.to_right = builder.select(builder.icmp_signed("<", shift, zero), builder.sub(zero, shift), zero)

    def product(self, accumulator: Any) -> Any:
        """SRDHM(accumulator << max(shift, 0), multiplier).

        The multiplier is loaded here and not once before the loop, see `high_product`.
        """
        raised = self.builder.shl(accumulator, self.to_left)
        return high_product(self.builder, raised, self.channel("multiplier", I32, 4))

    def rounded(self, accumulator: Any) -> Any:
        return shift_away(self.builder, self.product(accumulator), self.to_right)

    def up(self, value: Any) -> Any:
        """value / 2^to_right, ties up."""
        builder, one = self.builder, splat_all(1, I32)
        unshifted = builder.icmp_signed("==", self.to_right, splat_all(0, I32))
        less = builder.select(unshifted, splat_all(0, I32), builder.sub(self.to_right, one))
        halved = builder.ashr(builder.add(builder.ashr(value, less), one), one)
        return builder.select(unshifted, value, halved)


class _DoubleUp(_Double):
    """Two roundings, both ties up."""

    def rounded(self, accumulator: Any) -> Any:
        return self.up(self.product(accumulator))


class _DoubleUpBy8(_Double):
    """Ties up in whole vectors of 8 channels, away from zero in those left over."""

    def prepare(self) -> None:
        super().prepare()
        builder = self.builder
        whole = builder.and_(self.channels, integer(~7))
        lanes = ir.Constant(vector(I64, LANES), list(range(LANES)))
        channel = builder.add(splat(builder, self.first, LANES), lanes)
        self.in_vector = builder.icmp_signed("<", channel, splat(builder, whole, LANES))

    def rounded(self, accumulator: Any) -> Any:
        value = self.product(accumulator)
        away = shift_away(self.builder, value, self.to_right)
        return self.builder.select(self.in_vector, self.up(value), away)


class _Plain(_Rule):
    """`_Double` where every shift is to the right, at least by one, and sums are below 2^30.

    Then the sum can be doubled, so that the high half of the product is the first rounding's result; half away from
    zero is half up of a negative value less one; and the zero point joins the last rounding's constant.
    """

    away = True

    def prepare(self) -> None:
        builder, one = self.builder, splat_all(1, I32)
        self.less = builder.sub(builder.sub(splat_all(0, I32), self.channel("shift", I32, 4)), one)
        self.nudge = builder.add(builder.shl(self.zero_point, one), one)

    def rounded(self, accumulator: Any) -> Any:
        """Rounded, with the zero point."""
        builder, one = self.builder, splat_all(1, I32)
        value = doubled_high_product(builder, accumulator, self.channel("multiplier", I32, 4))
        if self.away:
            value = builder.add(value, builder.ashr(value, splat_all(31, I32)))
        return builder.ashr(builder.add(builder.ashr(value, self.less), self.nudge), one)

    def limited(self, value: Any) -> Any:
        return clamped_bytes(self.builder, value, self.minimum, self.maximum)


class _PlainInt8(_Plain):
    """`_Plain` clamped to all of int8, which one instruction does on the way to bytes."""

    def limited(self, value: Any) -> Any:
        return clamped_bytes(self.builder, value, splat_all(-128, I32), splat_all(127, I32))


class _PlainUp(_Plain):
    """`_DoubleUp` under the same conditions."""

    away = False


class _PlainUpInt8(_PlainInt8):
    """`_PlainUp` clamped to all of int8."""

    away = False


class _Single(_Rule):
    """One rounding, ties up."""

    def prepare(self) -> None:
        self.multiplier = self.channel("multiplier", I32, 4)
        shift = self.builder.sext(self.channel("shift", I32, 4), vector(I64, LANES))
        self.less = self.builder.sub(splat_all(30, I64), shift)

    def rounded(self, accumulator: Any) -> Any:
        builder, long = self.builder, vector(I64, LANES)
        product = builder.mul(builder.sext(accumulator, long), builder.sext(self.multiplier, long))
        halved = builder.ashr(builder.add(builder.ashr(product, self.less), splat_all(1, I64)), splat_all(1, I64))
        return builder.trunc(halved, vector(I32, LANES))


class _Float32(_Rule):
    """One float32 product, ties to even."""

    element, array, size = F32, "scale32", 4

    def prepare(self) -> None:
        kind = vector(self.element, LANES)
        self.scale = self.channel(self.array, self.element, self.size)
        self.low, self.high = (
            self.builder.sitofp(self.builder.sub(bound, self.zero_point), kind)
            for bound in (self.minimum, self.maximum)
        )

    def limited(self, value: Any) -> Any:
        """The product was limited already."""
        return self.builder.trunc(self.builder.add(value, self.zero_point), vector(I8, LANES))

    def product(self, accumulator: Any) -> Any:
        """The product limited to the codes, which rounding cannot leave: the conversion back is in range."""
        builder = self.builder
        value = builder.fmul(builder.sitofp(accumulator, vector(self.element, LANES)), self.scale)
        value = builder.select(builder.fcmp_ordered("<", value, self.low), self.low, value)
        return builder.select(builder.fcmp_ordered(">", value, self.high), self.high, value)

    def rounded(self, accumulator: Any) -> Any:
        rounded = self.builder.call(_unary(self.builder.module, "rint", F32), [self.product(accumulator)])
        return self.builder.fptosi(rounded, vector(I32, LANES))


class _Float64(_Float32):
    """One float64 product, ties away from zero."""

    element, array, size = F64, "scale64", 8

    def rounded(self, accumulator: Any) -> Any:
        builder, product = self.builder, self.product(accumulator)
        whole = builder.call(_unary(builder.module, "trunc", F64), [product])
        rest = builder.fsub(product, whole)
        up = builder.zext(builder.fcmp_ordered(">=", rest, splat_all(0.5, F64)), vector(I32, LANES))
        down = builder.zext(builder.fcmp_ordered("<=", rest, splat_all(-0.5, F64)), vector(I32, LANES))
        return builder.sub(builder.add(builder.fptosi(whole, vector(I32, LANES)), up), down)


RULES = {
    "double_rounding": _Double,
    "double_half_up": _DoubleUp,
    "double_half_up_by_8": _DoubleUpBy8,
    "single_rounding": _Single,
    "float32": _Float32,
    "float64": _Float64,
}

PLAIN = {("double_rounding", False): 16, ("double_rounding", True): 17, ("double_half_up", False): 18,
         ("double_half_up", True): 19}  # fmt: skip
"""Numbers of the rules for bounded sums and shifts to the right, by rounding and whether the clamp is all of int8."""

_CASES = [(ROUNDINGS[name], kind) for name, kind in RULES.items()]
_CASES += [(16, _Plain), (17, _PlainInt8), (18, _PlainUp), (19, _PlainUpInt8)]


def _store_codes(builder: Any, out: Any, place: Any, codes: Any, left: Any, spill: Any) -> None:
    """Store `codes`, only the first `left` of them where there are fewer than lanes."""
    whole, part = builder.append_basic_block(), builder.append_basic_block()
    done = builder.append_basic_block()
    builder.cbranch(builder.icmp_signed(">=", left, integer(LANES)), whole, part)
    builder.position_at_end(whole)
    store(builder, out, place, codes)
    builder.branch(done)
    builder.position_at_end(part)
    builder.store(codes, spill)
    source = builder.bitcast(spill, I8.as_pointer())
    at = integer(0)
    size = LANES // 2
    while size:
        with builder.if_then(builder.icmp_signed("!=", builder.and_(left, integer(size)), integer(0))):
            store(builder, out, builder.add(place, at), load(builder, source, at, vector(I8, size)))
        at = builder.add(at, builder.and_(left, integer(size)))
        size //= 2
    builder.branch(done)
    builder.position_at_end(done)


def high_product(builder: Any, value: Any, multiplier: Any) -> Any:
    """gemmlowp's SaturatingRoundingDoublingHighMul of two int32 vectors, the multiplier not negative.

    Even and odd lanes apart, each a signed 32 by 32 product. `multiplier` must be computed next to this: only where it
    sees the sign extension does the code generator use the one instruction that does it.
    """
    long = vector(I64, LANES // 2)
    value, multiplier = builder.bitcast(value, long), builder.bitcast(multiplier, long)

    def every(number: int) -> Any:
        return ir.Constant(long, [number] * (LANES // 2))

    def low_half(pair: Any) -> Any:
        return builder.ashr(builder.shl(pair, every(32)), every(32))

    def high_half(pair: Any) -> Any:
        return builder.ashr(pair, every(32))

    even, odd = (
        builder.add(builder.mul(half(value), half(multiplier)), every(1 << 30)) for half in (low_half, high_half)
    )
    low = builder.bitcast(builder.lshr(even, every(31)), vector(I32, LANES))
    high = builder.bitcast(builder.shl(odd, every(1)), vector(I32, LANES))
    alternate = ir.Constant(vector(I32, LANES), [i + LANES * (i % 2) for i in range(LANES)])
    return builder.shuffle_vector(low, high, alternate)


def doubled_high_product(builder: Any, value: Any, multiplier: Any) -> Any:
    """As `high_product`, for values below 2^30: twice the product, whose high half is the result."""
    long = vector(I64, LANES // 2)
    value = builder.bitcast(builder.shl(value, splat_all(1, I32)), long)
    multiplier = builder.bitcast(multiplier, long)
    half, nudge = ir.Constant(long, [32] * (LANES // 2)), ir.Constant(long, [1 << 31] * (LANES // 2))
    low, high = (builder.ashr(builder.shl(pair, half), half) for pair in (value, multiplier))
    even = builder.add(builder.mul(low, high), nudge)
    low, high = (builder.ashr(pair, half) for pair in (value, multiplier))
    odd = builder.add(builder.mul(low, high), nudge)
    even, odd = (builder.bitcast(product, vector(I32, LANES)) for product in (even, odd))
    highs = ir.Constant(vector(I32, LANES), [i | 1 if i % 2 == 0 else i + LANES for i in range(LANES)])
    return builder.shuffle_vector(even, odd, highs)


def clamped_bytes(builder: Any, value: Any, low: Any, high: Any) -> Any:
    """Limited to [low, high] and narrowed to bytes."""
    value = builder.select(builder.icmp_signed("<", value, low), low, value)
    value = builder.select(builder.icmp_signed(">", value, high), high, value)
    return builder.trunc(value, vector(I8, LANES))


def shift_away(builder: Any, value: Any, shift: Any) -> Any:
    """value / 2^shift on int32 vectors, ties away from zero; each shift in [0, 31]."""
    one, wide = splat_all(1, I32), vector(I32, LANES)
    mask = builder.sub(builder.shl(one, shift), one)
    negative = builder.zext(builder.icmp_signed("<", value, splat_all(0, I32)), wide)
    threshold = builder.add(builder.lshr(mask, one), negative)
    beyond = builder.icmp_signed(">", builder.and_(value, mask), threshold)
    return builder.add(builder.ashr(value, shift), builder.zext(beyond, wide))


def splat_all(value: Any, element: Any) -> Any:
    """A constant in every lane."""
    return ir.Constant(vector(element, LANES), [value] * LANES)


def _unary(module: Any, name: str, element: Any) -> Any:
    kind = vector(element, LANES)
    full = f"llvm.{name}.v{LANES}f{32 if element is F32 else 64}"
    return module.globals.get(full) or ir.Function(module, ir.FunctionType(kind, [kind]), full)
