"""Copies, fills and table look-ups on fixed arrays; every address and size comes in one int64 array."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_instructions import I8, vector, wide_tables
from hwsim.kernels.vector_staging import copy_bytes, fill_bytes, pointer_to
from hwsim.kernels.vector_tile import Loop, integer, load, store

COPY_FIELDS = ("source", "out", "size_bytes")
FILL_FIELDS = ("out", "size_bytes", "value")
MOVE_FIELDS = ("source", "out", "run_bytes", "dimensions", "sizes", "source_strides", "out_strides", "counters")
LOOKUP_FIELDS = ("source", "out", "size", "tables", "period")

WIDE_TABLES = wide_tables()
"""Whether a table of 256 bytes can be looked up in registers (AVX-512 VBMI)."""

TABLE_BYTES, VECTOR_BYTES = 256, 64


@kernel
def vector_copy(p):
    """Copy a tensor. p : int64 array, see `COPY_FIELDS`."""
    copy_bytes(p[1], p[0], p[2])


@kernel
def vector_fill(p):
    """One byte everywhere. p : int64 array, see `FILL_FIELDS`."""
    fill_bytes(p[0], p[1], p[2])


@kernel
def vector_move(p):
    """Copy runs of bytes between places that strides in bytes give. p : int64 array, see `MOVE_FIELDS`.

    `sizes` and both strides have `dimensions` >= 1 numbers, and so much room have `counters`.
    """
    source, out, run, last = p[0], p[1], p[2], p[3] - 1
    sizes = carray(pointer_to(p[4]), (p[3],), np.int64)
    source_strides = carray(pointer_to(p[5]), (p[3],), np.int64)
    out_strides = carray(pointer_to(p[6]), (p[3],), np.int64)
    counters = carray(pointer_to(p[7]), (p[3],), np.int64)
    counters[:] = 0
    while True:
        move_line(source, out, run, sizes[last], source_strides[last], out_strides[last])
        axis = last - 1
        while axis >= 0:
            source += source_strides[axis]
            out += out_strides[axis]
            counters[axis] += 1
            if counters[axis] < sizes[axis]:
                break
            source -= sizes[axis] * source_strides[axis]
            out -= sizes[axis] * out_strides[axis]
            counters[axis] = 0
            axis -= 1
        if axis < 0:
            return


@kernel
def move_line(source, out, run, count, source_stride, out_stride):
    """`count` runs, so many bytes apart."""
    if run == 1:
        for i in range(count):
            copy_byte(out + i * out_stride, source + i * source_stride)
    else:
        for i in range(count):
            copy_bytes(out + i * out_stride, source + i * source_stride, run)


@intrinsic
def copy_byte(typingctx, target, source):
    """Copy one byte between two addresses."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, source = (builder.inttoptr(address, I8.as_pointer()) for address in args)
        builder.store(builder.load(source), target)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@kernel
def vector_lookup(p):
    """Every byte's entry of a table, of `period` tables in turn. p : int64 array, see `LOOKUP_FIELDS`."""
    size, period = p[2], p[4]
    tables = carray(pointer_to(p[3]), (TABLE_BYTES * period,), np.uint8)
    codes = carray(pointer_to(p[0]), (size,), np.uint8)
    out = carray(pointer_to(p[1]), (size,), np.uint8)
    if period > 1:
        for start in range(0, size, period):
            for c in range(period):
                out[start + c] = tables[TABLE_BYTES * c + np.int64(codes[start + c])]
        return
    whole = 0
    if WIDE_TABLES:
        whole = size - size % VECTOR_BYTES
        if whole:
            lookup_span(p[0], p[1], whole // VECTOR_BYTES, p[3])
    for i in range(whole, size):
        out[i] = tables[np.int64(codes[i])]


@intrinsic
def lookup_span(typingctx, source, out, count, table):
    """`count` >= 1 vectors of 64 bytes through one table of 256."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _emit_lookup(builder, *args)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


def _emit_lookup(builder: Any, source: Any, out: Any, count: Any, table: Any) -> None:
    kind = vector(I8, VECTOR_BYTES)
    source, out, table = (builder.inttoptr(address, I8.as_pointer()) for address in (source, out, table))
    parts = [load(builder, table, integer(VECTOR_BYTES * i), kind) for i in range(4)]
    name, signature = "llvm.x86.avx512.vpermi2var.qi.512", ir.FunctionType(kind, [kind] * 3)
    pick = builder.module.globals.get(name) or ir.Function(builder.module, signature, name)
    over = Loop(builder, count, [])
    at = builder.mul(over.index, integer(VECTOR_BYTES))
    codes = load(builder, source, at, kind)
    low, high = (builder.call(pick, [parts[i], codes, parts[i + 1]]) for i in (0, 2))
    upper = builder.icmp_signed("<", codes, ir.Constant(kind, [0] * VECTOR_BYTES))
    store(builder, out, at, builder.select(upper, high, low))
    over.end([])
