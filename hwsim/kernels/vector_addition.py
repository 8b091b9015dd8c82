"""ADD and SUB on whole vectors of bytes: the rules of `kernels.add` and `kernels.sub`, written once more for registers.

A last vector that is not whole is computed again over the bytes before it, so tensors must have at least one vector;
shorter ones are left to the portable kernels.
"""

from collections.abc import Callable
from typing import Any

from numba import types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_instructions import I8, I16, I32, I64, vector
from hwsim.kernels.vector_rounding import Multiplier, clamped_bytes, shift_away, splat_all
from hwsim.kernels.vector_tile import LANES, Loop, integer, load, splat, store

ADD_FIELDS = (
    "first", "second", "out", "size", "samples", "stride", "algorithm", "flip", "first_zero", "second_zero",
    "left_shift", "first_multiplier", "second_multiplier", "first_shift", "second_shift", "multiplier", "shift",
    "zero_point", "minimum", "maximum",
)  # fmt: skip
ADD_ALGORITHMS = {
    "tflite": 0, "tflite_simd": 1, "tflite_simd_uint8": 2, "xnnpack": 3, "first_less_second": 4, "second_less_first": 5,
}  # fmt: skip
"""Number of every rule. The second operand of TFLite's is the one with the larger scale, see `_halved`."""

SMALL_BITS = 11
"""Low bits of a multiplier that are multiplied apart, so that both products of a code fit int32."""

Way = Callable[[Any, Any], Any]


@intrinsic
def add_span(typingctx, start, count, fields):
    """`count` >= 1 vectors of sums from byte `start` on. fields : address of int64, see `ADD_FIELDS`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _Addition(builder, args[2]).emit(args[0], args[1])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


@kernel
def vector_add(p):
    """`size` bytes of each of `samples`, `stride` bytes apart. p : int64 array, see `ADD_FIELDS`."""
    size, samples, stride, address = p[3], p[4], p[5], p.ctypes.data
    if size == stride:
        size, samples = size * samples, 1
    for n in range(samples):
        add_span(n * stride, size // LANES, address)
        if size % LANES:
            add_span(n * stride + size - LANES, 1, address)


class _Addition:
    """The ways to add of `kernels.add`, and to subtract of `kernels.sub`."""

    def __init__(self, builder: Any, fields: Any) -> None:
        self.builder = builder
        base = builder.inttoptr(fields, I8.as_pointer())
        self.plain = {name: load(builder, base, integer(8 * i), I64) for i, name in enumerate(ADD_FIELDS)}

    def number(self, name: str) -> Any:
        """A field in every lane."""
        return splat(self.builder, self.builder.trunc(self.plain[name], I32), LANES)

    def emit(self, start: Any, count: Any) -> None:
        """The loop of the rule that the fields name."""
        builder = self.builder
        ways = (
            self._tflite(1, 1), self._simd, self._simd_uint8, self._xnnpack, self._tflite(1, -1), self._tflite(-1, 1)
        )  # fmt: skip
        done = builder.append_basic_block()
        blocks = [builder.append_basic_block() for _ in ways]
        choice = builder.switch(self.plain["algorithm"], blocks[0])
        for number, (way, block) in enumerate(zip(ways, blocks, strict=True)):
            choice.add_case(integer(number), block)
            builder.position_at_end(block)
            self._loop(start, count, way())
            builder.branch(done)
        builder.position_at_end(done)

    def _loop(self, start: Any, count: Any, way: Way) -> None:
        builder = self.builder
        first, second, out = (
            builder.inttoptr(self.plain[name], I8.as_pointer()) for name in ("first", "second", "out")
        )
        flip = splat(builder, builder.trunc(self.plain["flip"], I8), LANES)
        zeros = self.number("first_zero"), self.number("second_zero")
        low, high = self.number("minimum"), self.number("maximum")
        over = Loop(builder, count, [])
        at = builder.add(start, builder.mul(over.index, integer(LANES)))
        left, right = (
            centered(builder, base, at, flip, zero) for base, zero in zip((first, second), zeros, strict=True)
        )
        store(builder, out, at, clamped_bytes(builder, way(left, right), low, high))
        over.end([])

    def _tflite(self, first_sign: int, second_sign: int) -> Callable[[], Way]:
        """TFLite's reference, for the sum or a difference. The signs are of the first and of the second operand."""

        def prepare() -> Way:
            builder = self.builder
            raised, rounded, half = self._raised(), self._away("first_shift"), self._halved()
            multiplier, away, zero_point = self._output(), self._away("shift"), self.number("zero_point")

            def way(left: Any, right: Any) -> Any:
                one, other = rounded(raised(left)), half(right)
                if (first_sign, second_sign) == (1, 1):
                    total = builder.add(one, other)
                else:
                    total = builder.sub(one, other) if first_sign == 1 else builder.sub(other, one)
                return builder.add(away(multiplier.doubled_high_product(total)), zero_point)

            return way

        return prepare

    def _raised(self) -> Callable[[Any], Any]:
        """SRDHM(code << 20, first multiplier), which is (code * multiplier + 2^10) >> 11.

        By parts: what is above the low 11 bits of the multiplier needs no rounding.
        """
        builder, bits = self.builder, splat_all(SMALL_BITS, I32)
        multiplier = self.number("first_multiplier")
        large = builder.ashr(multiplier, bits)
        small = builder.and_(multiplier, splat_all((1 << SMALL_BITS) - 1, I32))
        nudge = splat_all(1 << SMALL_BITS - 1, I32)

        def raised(value: Any) -> Any:
            below = builder.ashr(builder.add(builder.mul(value, small), nudge), bits)
            return builder.add(builder.mul(value, large), below)

        return raised

    def _away(self, name: str) -> Callable[[Any], Any]:
        """value / 2^shift, ties away from zero, for magnitudes below 2^30: ties up, of a negative value less one."""
        builder, one = self.builder, splat_all(1, I32)
        shift = self.number(name)
        shifted = builder.sext(builder.icmp_signed(">", shift, splat_all(0, I32)), vector(I32, LANES))
        half = builder.and_(builder.shl(one, builder.and_(builder.sub(shift, one), splat_all(31, I32))), shifted)

        def away(value: Any) -> Any:
            less = builder.and_(builder.ashr(value, splat_all(31, I32)), shifted)
            return builder.ashr(builder.add(builder.add(value, half), less), shift)

        return away

    def _halved(self) -> Callable[[Any], Any]:
        """The input with multiplier 2^30 and shift 0: half of what the left shift makes it."""
        less = self.builder.sub(self.number("left_shift"), splat_all(1, I32))
        return lambda value: self.builder.shl(value, less)

    def _output(self) -> Multiplier:
        return Multiplier(self.builder, self.number("multiplier"))

    def _simd(self) -> Way:
        builder, half, narrow = self.builder, self._halved(), self._narrow()
        folded = builder.sub(self.number("left_shift"), self.number("first_shift"))
        multiplier = Multiplier(builder, self.number("first_multiplier"))
        return lambda left, right: narrow(builder.add(multiplier.high_product(builder.shl(left, folded)), half(right)))

    def _simd_uint8(self) -> Way:
        builder, half, narrow, raised = self.builder, self._halved(), self._narrow(), self._raised()
        shift = self.number("first_shift")
        return lambda left, right: narrow(builder.add(builder.ashr(raised(left), shift), half(right)))

    def _xnnpack(self) -> Way:
        builder, shift, zero_point = self.builder, self.number("shift"), self.number("zero_point")
        half = builder.shl(splat_all(1, I32), builder.sub(shift, splat_all(1, I32)))
        first, second = self.number("first_multiplier"), self.number("second_multiplier")

        def way(left: Any, right: Any) -> Any:
            total = builder.add(builder.mul(left, first), builder.mul(right, second))
            return builder.add(builder.ashr(builder.add(total, half), shift), zero_point)

        return way

    def _narrow(self) -> Callable[[Any], Any]:
        """The output stage of the vector loops, through 16 bits."""
        builder, half, wide = self.builder, vector(I16, LANES), vector(I32, LANES)
        multiplier, shift = self._output(), self.number("shift")
        zero_point = builder.trunc(self.number("zero_point"), half)

        def narrow(total: Any) -> Any:
            scaled = builder.trunc(shift_away(builder, multiplier.high_product(total), shift), half)
            return builder.sext(builder.add(scaled, zero_point), wide)

        return narrow


def centered(builder: Any, base: Any, at: Any, flip: Any, zero_point: Any) -> Any:
    """A vector of codes at byte `at` as int32, made signed by `flip`, less a zero point; both in every lane."""
    codes = builder.xor(load(builder, base, at, vector(I8, LANES)), flip)
    return builder.sub(builder.sext(codes, vector(I32, LANES)), zero_point)
