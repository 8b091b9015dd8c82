"""Copies, fills and table look-ups for the vector kernels: the arrays of addresses."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.vector_tile import LANES
from hwsim.ops._base import Arrays, Shape
from hwsim.ops._fixed import Array, Fixed, Held, vector_layer


def copy(source: Array, out: Array) -> Fixed | None:
    """All bytes of a tensor; None where the vector kernels may not run."""
    if LANES == 0 or not source.flags.c_contiguous:
        return None
    held = Held()
    fields = {"source": held.place(source), "out": held.place(out), "size_bytes": source.nbytes}
    return vector_layer("copy", fields, held)


def fill(out: Array, value: int) -> Fixed:
    """One byte everywhere in a contiguous array."""
    held = Held()
    return vector_layer("fill", {"out": held.place(out), "size_bytes": out.nbytes, "value": value & 0xFF}, held)


def moves(inputs: Arrays, values: Arrays, outs: Arrays) -> list[Fixed] | None:
    """Every one of `values` to the array of `outs` at its place; None where it is no view of an input, and so would
    not change when that does, or the vector kernels may not run.
    """
    if LANES == 0:
        return None
    for value, out in zip(values, outs, strict=True):
        if value.dtype != out.dtype or not any(np.may_share_memory(value, array) for array in inputs):
            return None
    return [move(value, out) for value, out in zip(values, outs, strict=True)]


def move(value: Array, out: Array) -> Fixed:
    """The values of one view, repeated to the shape of another, to its places; both of one dtype."""
    value = np.broadcast_to(value, out.shape)
    run, sizes, strides, out_strides = _runs(value, out)
    held = Held()
    held.arrays += [value, out]
    fields = {
        "source": int(value.__array_interface__["data"][0]),
        "out": int(out.__array_interface__["data"][0]),
        "run_bytes": run,
        "dimensions": len(sizes),
        "sizes": held.place(np.array(sizes, np.int64)),
        "source_strides": held.place(np.array(strides, np.int64)),
        "out_strides": held.place(np.array(out_strides, np.int64)),
        "counters": held.place(np.zeros(len(sizes), np.int64)),
    }
    return vector_layer("move", fields, held) if value.size else in_no_time


def in_no_time() -> None:
    """What moving no values takes."""


def _runs(value: Array, out: Array) -> tuple[int, Sequence[int], Sequence[int], Sequence[int]]:
    """Bytes that lie together in both views, and the fewest axes over them: sizes, strides, strides of the output."""
    axes = [axis for axis in zip(value.shape, value.strides, out.strides, strict=True) if axis[0] != 1]
    merged: list[tuple[int, int, int]] = []
    for size, stride, out_stride in axes:
        if merged and merged[-1][1:] == (size * stride, size * out_stride):
            merged[-1] = (merged[-1][0] * size, stride, out_stride)
        else:
            merged.append((size, stride, out_stride))
    run = value.itemsize
    if merged and merged[-1][1:] == (run, run):
        run *= merged.pop()[0]
    sizes, strides, out_strides = zip(*(merged or [(1, 0, 0)]), strict=True)
    return run, sizes, strides, out_strides


def lookup(table: Array, minimum: int, source: Array, out: Array) -> Fixed | None:
    """`table[code - minimum]` of every byte; with tables (channels, 256), the one of its channel, which is the last
    axis. None where source or output holds no bytes, or the vector kernels may not run.
    """
    if LANES == 0 or not source.flags.c_contiguous or source.size == 0 or source.itemsize + out.itemsize > 2:
        return None
    held = Held()
    by_byte: NDArray[np.uint8] = np.roll(np.atleast_2d(table).view(np.uint8), minimum, axis=1)
    fields = {
        "source": held.place(source),
        "out": held.place(out),
        "size": source.size,
        "tables": held.place(np.ascontiguousarray(by_byte)),
        "period": len(by_byte),
    }
    return vector_layer("lookup", fields, held)


def operands(inputs: Arrays, shape: Shape) -> tuple[list[Array], list[Fixed]]:
    """Inputs (samples, *declared) repeated to (samples, *shape), and what repeats those that change between runs.

    Arrays of a program that must not be written are constants.
    """
    arrays, before = [], []
    for array in inputs:
        samples = array.shape[0]
        if array.shape == (samples, *shape):
            repeated = np.ascontiguousarray(array)
        else:
            declared = array.reshape(samples, *(1,) * (len(shape) + 1 - array.ndim), *array.shape[1:])
            repeated = np.empty((samples, *shape), array.dtype)
            repeated[...] = declared
            if array.flags.writeable:
                before.append(move(declared, repeated))
        arrays.append(repeated)
    return arrays, before
