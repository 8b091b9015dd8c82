"""Elementwise operators on whole vectors of bytes: codes of one scale to another, and additions.

The rules of `requantize` and `add`, written once more for registers. A last vector that is not whole is computed again
over the bytes before it, so tensors must have at least one vector; shorter ones are left to the portable kernels.
"""

from typing import Any

from numba import types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.requantize import ROUNDINGS
from hwsim.kernels.vector_instructions import I8, I16, I32, I64, vector
from hwsim.kernels.vector_output import STAGE_FIELDS
from hwsim.kernels.vector_rounding import RULES, Multiplier, shift_away, splat_all
from hwsim.kernels.vector_tile import LANES, integer, load, splat, store

REQUANTIZE_FIELDS = ("source", "out", "size", "flip", "zero_point", "stage")
ADD_FIELDS = (
    "first", "second", "out", "size", "samples", "stride", "algorithm", "flip", "first_zero", "second_zero",
    "left_shift", "first_multiplier", "second_multiplier", "first_shift", "second_shift", "multiplier", "shift",
    "zero_point", "minimum", "maximum",
)  # fmt: skip
ADD_ALGORITHMS = {"tflite": 0, "tflite_simd": 1, "tflite_simd_uint8": 2, "xnnpack": 3}


@intrinsic
def requantize_vector(typingctx, source, out, at, fields):
    """One vector of codes at byte `at`. fields : address of int64, see `REQUANTIZE_FIELDS`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _emit_requantize(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@kernel
def vector_requantize(p):
    """Every code of a tensor. p : int64 array, see `REQUANTIZE_FIELDS`."""
    size, address = p[2], p.ctypes.data
    for at in range(0, size - LANES + 1, LANES):
        requantize_vector(p[0], p[1], at, address)
    if size % LANES:
        requantize_vector(p[0], p[1], size - LANES, address)


@intrinsic
def add_vector(typingctx, at, fields):
    """One vector of sums at byte `at`. fields : address of int64, see `ADD_FIELDS`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _Addition(builder, args[1]).emit(args[0])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 2), codegen


@kernel
def vector_add(p):
    """`size` bytes of each of `samples`, `stride` bytes apart. p : int64 array, see `ADD_FIELDS`."""
    size, samples, stride, address = p[3], p[4], p[5], p.ctypes.data
    for n in range(samples):
        start = n * stride
        for at in range(start, start + size - LANES + 1, LANES):
            add_vector(at, address)
        if size % LANES:
            add_vector(start + size - LANES, address)


def _emit_requantize(builder: Any, source: Any, out: Any, at: Any, fields: Any) -> None:
    pointer = I8.as_pointer()
    source, out, fields = (builder.inttoptr(a, pointer) for a in (source, out, fields))
    flip, zero_point, stage = (load(builder, fields, integer(8 * i), I64) for i in (3, 4, 5))
    stage = builder.inttoptr(stage, pointer)
    numbers = {name: load(builder, stage, integer(8 * i), I64) for i, name in enumerate(STAGE_FIELDS)}
    centered = _centered(builder, source, at, flip, zero_point)
    done = builder.append_basic_block()
    cases = [(ROUNDINGS[name], builder.append_basic_block(), kind) for name, kind in RULES.items()]
    choice = builder.switch(numbers["rounding"], cases[0][1])
    for number, block, kind in cases:
        choice.add_case(integer(number), block)
        builder.position_at_end(block)
        store(builder, out, at, kind(builder, numbers, integer(0), integer(LANES)).codes(centered))
        builder.branch(done)
    builder.position_at_end(done)


def _centered(builder: Any, base: Any, at: Any, flip: Any, zero_point: Any) -> Any:
    """A vector of codes as int32, made signed by `flip`, less a zero point."""
    codes = builder.xor(load(builder, base, at, vector(I8, LANES)), splat(builder, builder.trunc(flip, I8), LANES))
    return builder.sub(builder.sext(codes, vector(I32, LANES)), splat(builder, builder.trunc(zero_point, I32), LANES))


class _Addition:
    """The four ways to add of `kernels.add`."""

    def __init__(self, builder: Any, fields: Any) -> None:
        self.builder = builder
        base = builder.inttoptr(fields, I8.as_pointer())
        self.plain = {name: load(builder, base, integer(8 * i), I64) for i, name in enumerate(ADD_FIELDS)}

    def number(self, name: str) -> Any:
        """A field in every lane."""
        return splat(self.builder, self.builder.trunc(self.plain[name], I32), LANES)

    def emit(self, at: Any) -> None:
        """Load, add, store one vector."""
        builder = self.builder
        first, second, out = (
            builder.inttoptr(self.plain[name], I8.as_pointer()) for name in ("first", "second", "out")
        )
        left = _centered(builder, first, at, self.plain["flip"], self.plain["first_zero"])
        right = _centered(builder, second, at, self.plain["flip"], self.plain["second_zero"])
        ways = (self._tflite, self._simd, self._simd_uint8, self._xnnpack)
        done = builder.append_basic_block()
        blocks = [builder.append_basic_block() for _ in ways]
        choice = builder.switch(self.plain["algorithm"], blocks[0])
        results = []
        for number, (way, block) in enumerate(zip(ways, blocks, strict=True)):
            choice.add_case(integer(number), block)
            builder.position_at_end(block)
            results.append((way(left, right), builder.block))
            builder.branch(done)
        builder.position_at_end(done)
        value = builder.phi(vector(I32, LANES))
        for result, block in results:
            value.add_incoming(result, block)
        low, high = self.number("minimum"), self.number("maximum")
        value = builder.select(builder.icmp_signed("<", value, low), low, value)
        value = builder.select(builder.icmp_signed(">", value, high), high, value)
        store(builder, out, at, builder.trunc(value, vector(I8, LANES)))

    def _tflite(self, left: Any, right: Any) -> Any:
        builder = self.builder
        raised = builder.shl(left, self.number("left_shift"))
        product = Multiplier(builder, self.number("first_multiplier")).high_product(raised)
        rounded = shift_away(builder, product, self.number("first_shift"))
        total = builder.add(rounded, self._halved(right))
        return builder.add(self._output(total), self.number("zero_point"))

    def _simd(self, left: Any, right: Any) -> Any:
        builder = self.builder
        folded = builder.sub(self.number("left_shift"), self.number("first_shift"))
        product = Multiplier(builder, self.number("first_multiplier")).high_product(builder.shl(left, folded))
        return self._narrow(builder.add(product, self._halved(right)))

    def _simd_uint8(self, left: Any, right: Any) -> Any:
        builder = self.builder
        raised = builder.shl(left, self.number("left_shift"))
        product = Multiplier(builder, self.number("first_multiplier")).high_product(raised)
        shifted = builder.ashr(product, self.number("first_shift"))
        return self._narrow(builder.add(shifted, self._halved(right)))

    def _halved(self, value: Any) -> Any:
        """The input with multiplier 2^30 and shift 0: half of what the left shift makes it."""
        return self.builder.shl(value, self.builder.sub(self.number("left_shift"), splat_all(1, I32)))

    def _xnnpack(self, left: Any, right: Any) -> Any:
        builder, shift = self.builder, self.number("shift")
        half = builder.shl(splat_all(1, I32), builder.sub(shift, splat_all(1, I32)))
        total = builder.add(
            builder.mul(left, self.number("first_multiplier")), builder.mul(right, self.number("second_multiplier"))
        )
        return builder.add(builder.ashr(builder.add(total, half), shift), self.number("zero_point"))

    def _output(self, total: Any) -> Any:
        product = Multiplier(self.builder, self.number("multiplier")).high_product(total)
        return shift_away(self.builder, product, self.number("shift"))

    def _narrow(self, total: Any) -> Any:
        """The output stage of the vector loops, through 16 bits."""
        builder, half, wide = self.builder, vector(I16, LANES), vector(I32, LANES)
        scaled = builder.trunc(self._output(total), half)
        return builder.sext(builder.add(scaled, builder.trunc(self.number("zero_point"), half)), wide)
