"""The rounding rules of `requantize`, written once more for whole registers of accumulators.

Plain LLVM vector arithmetic, which every processor's code generator knows; the tests compare it with `requantize`.
"""

from typing import Any

from llvmlite import binding, ir

from hwsim.kernels.requantize import ROUNDINGS
from hwsim.kernels.vector_instructions import F32, F64, I8, I32, I64, vector
from hwsim.kernels.vector_tile import LANES, REGISTER, Loop, integer, load, splat

if LANES:
    binding.initialize_native_asmparser()


class Rule:
    """A rounding on one vector of channels: its numbers loaded once, then `moved` for every accumulator.

    fields : LLVM values by name, see `vector_output.STAGE_FIELDS`; first : the number of the first channel
    channels : how many there are in all
    """

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

    def moved(self, accumulator: Any) -> Any:
        """The rounded int32 vector moved by the zero point, before the clamp."""
        return self.builder.add(self.rounded(accumulator), self.zero_point)

    def codes(self, accumulator: Any) -> Any:
        """The vector of output bytes."""
        return clamped_bytes(self.builder, self.moved(accumulator), self.minimum, self.maximum)

    def channel(self, name: str, element: Any, size: int) -> Any:
        """The part of the array `name` that belongs to these channels."""
        base = self.builder.inttoptr(self.fields[name], I8.as_pointer())
        return load(self.builder, base, self.builder.mul(self.first, integer(size)), vector(element, LANES))


class _Double(Rule):
    """Two roundings, the second away from zero."""

    def prepare(self) -> None:
        builder, zero = self.builder, splat_all(0, I32)
        shift = self.channel("shift", I32, 4)
        self.to_left = builder.select(builder.icmp_signed(">", shift, zero), shift, zero)
        self.to_right = builder.select(builder.icmp_signed("<", shift, zero), builder.sub(zero, shift), zero)
        self.multiplier = Multiplier(builder, self.channel("multiplier", I32, 4))

    def product(self, accumulator: Any) -> Any:
        """SRDHM(accumulator << max(shift, 0), multiplier)."""
        return self.multiplier.high_product(self.builder.shl(accumulator, self.to_left))

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
        whole = builder.trunc(builder.and_(self.channels, integer(~7)), I32)
        number = self.channel("number", I32, 4)
        self.in_vector = builder.icmp_signed("<", number, splat(builder, whole, LANES))

    def rounded(self, accumulator: Any) -> Any:
        value = self.product(accumulator)
        away = shift_away(self.builder, value, self.to_right)
        return self.builder.select(self.in_vector, self.up(value), away)


class _Plain(Rule):
    """`_Double` where every shift is to the right, by 1 to 20, and sums are below 2^30.

    Then the sum can be doubled, so that the high half of the product is the first rounding's result; half away from
    zero is half up of a negative value less one; and the zero point joins the last rounding's constant.
    """

    away = True

    def prepare(self) -> None:
        builder, one = self.builder, splat_all(1, I32)
        self.multiplier = Multiplier(builder, self.channel("multiplier", I32, 4))
        self.to_right = builder.sub(splat_all(0, I32), self.channel("shift", I32, 4))
        half = builder.shl(one, builder.sub(self.to_right, one))
        self.nudge = builder.add(half, builder.shl(self.zero_point, self.to_right))

    def moved(self, accumulator: Any) -> Any:
        builder = self.builder
        value = self.multiplier.doubled_high_product(accumulator)
        nudged = builder.add(value, self.nudge)
        if self.away:
            nudged = builder.add(nudged, builder.ashr(value, splat_all(31, I32)))
        return builder.ashr(nudged, self.to_right)


class _PlainInt8(_Plain):
    """`_Plain` clamped to all of int8, which one instruction does on the way to bytes."""

    def codes(self, accumulator: Any) -> Any:
        return clamped_bytes(self.builder, self.moved(accumulator), splat_all(-128, I32), splat_all(127, I32))


class _PlainUp(_Plain):
    """`_DoubleUp` under the same conditions."""

    away = False


class _PlainUpInt8(_PlainInt8):
    """`_PlainUp` clamped to all of int8."""

    away = False


class _Single(Rule):
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


class _Float32(Rule):
    """One float32 product, ties to even."""

    element, array, size = F32, "scale32", 4

    def prepare(self) -> None:
        kind = vector(self.element, LANES)
        self.scale = self.channel(self.array, self.element, self.size)
        self.low, self.high = (
            self.builder.sitofp(self.builder.sub(bound, self.zero_point), kind)
            for bound in (self.minimum, self.maximum)
        )

    def codes(self, accumulator: Any) -> Any:
        """The product was limited already."""
        return self.builder.trunc(self.moved(accumulator), vector(I8, LANES))

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


class _Thresholds(Rule):
    """How many of their channel's thresholds the sums reach.

    thresholds : int32 (thresholds, padded channels), each less one; a row of `threshold_bytes`
    """

    def prepare(self) -> None:
        builder = self.builder
        start = builder.add(self.fields["thresholds"], builder.mul(self.first, integer(4)))
        self.base = builder.inttoptr(start, I8.as_pointer())

    def rounded(self, accumulator: Any) -> Any:
        builder, wide = self.builder, vector(I32, LANES)
        over = Loop(builder, self.fields["threshold_count"], [splat_all(0, I32)])
        less = load(builder, self.base, builder.mul(over.index, self.fields["threshold_bytes"]), wide)
        above = builder.sext(builder.icmp_signed(">", accumulator, less), wide)
        (count,) = over.end([builder.sub(over.values[0], above)])
        return count


RULES = {
    "double_rounding": _Double,
    "double_half_up": _DoubleUp,
    "double_half_up_by_8": _DoubleUpBy8,
    "single_rounding": _Single,
    "float32": _Float32,
    "float64": _Float64,
    "thresholds": _Thresholds,
}

PLAIN = {
    ("double_rounding", False): 16,
    ("double_rounding", True): 17,
    ("double_half_up", False): 18,
    ("double_half_up", True): 19,
}
"""Numbers of the rules for sums below `PLAIN_SUM` and shifts to the right by 1 to `PLAIN_SHIFT`, by rounding and
whether the clamp is all of int8.
"""

PLAIN_SUM, PLAIN_SHIFT = 1 << 30, 20

NUMBERED = [
    *((ROUNDINGS[name], rule) for name, rule in RULES.items()),
    *((16, _Plain), (17, _PlainInt8), (18, _PlainUp), (19, _PlainUpInt8)),
]
"""Every rule with the number that a stage names it by."""


class Multiplier:
    """int32 factors that are not negative, made ready for many products: even and odd lanes apart."""

    def __init__(self, builder: Any, values: Any) -> None:
        self.builder = builder
        self.even = builder.bitcast(values, vector(I64, LANES // 2))
        self.odd = builder.lshr(self.even, _long(32))

    def _products(self, value: Any, nudge: int) -> tuple[Any, Any]:
        """64-bit products of the even and of the odd lanes, plus `nudge`."""
        builder = self.builder
        pairs = builder.bitcast(value, vector(I64, LANES // 2))
        even = _wide_product(builder, pairs, self.even)
        odd = _wide_product(builder, builder.lshr(pairs, _long(32)), self.odd)
        return builder.add(even, _long(nudge)), builder.add(odd, _long(nudge))

    def high_product(self, value: Any) -> Any:
        """gemmlowp's SaturatingRoundingDoublingHighMul with an int32 vector."""
        builder = self.builder
        even, odd = self._products(value, 1 << 30)
        low = builder.bitcast(builder.lshr(even, _long(31)), vector(I32, LANES))
        high = builder.bitcast(builder.shl(odd, _long(1)), vector(I32, LANES))
        alternate = ir.Constant(vector(I32, LANES), [i + LANES * (i % 2) for i in range(LANES)])
        return builder.shuffle_vector(low, high, alternate)

    def doubled_high_product(self, value: Any) -> Any:
        """As `high_product`, for values below 2^30: twice the product, whose high half is the result."""
        builder = self.builder
        even, odd = self._products(builder.shl(value, splat_all(1, I32)), 1 << 31)
        even, odd = (builder.bitcast(product, vector(I32, LANES)) for product in (even, odd))
        highs = ir.Constant(vector(I32, LANES), [i | 1 if i % 2 == 0 else i + LANES for i in range(LANES)])
        return builder.shuffle_vector(even, odd, highs)


def _wide_product(builder: Any, left: Any, right: Any) -> Any:
    """Signed 64-bit products of the low 32 bits of every 64.

    As the instruction itself: the code generator finds it only where it sees both sign extensions in one block, and so
    would do the constant's part of the work for every product.
    """
    kind = ir.FunctionType(left.type, [left.type, right.type])
    return builder.asm(kind, "vpmuldq $2, $1, $0", f"={REGISTER},{REGISTER},{REGISTER}", [left, right], False)


def _long(value: int) -> Any:
    return ir.Constant(vector(I64, LANES // 2), [value] * (LANES // 2))


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
