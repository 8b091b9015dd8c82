"""Staged images: a copy of one image with its border, so that tiles need not ask where the image ends."""

from typing import Any

import numpy as np
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from hwsim.kernels import kernel
from hwsim.kernels.vector_instructions import I8

STAGING_FIELDS = (
    "batch", "image", "image_bytes", "source", "source_bytes", "height", "row_values", "staged_height", "staged_row",
    "top", "left", "pad", "zero_point", "signed",
)  # fmt: skip
"""The first fields of every vector layer. Without staging `source` is 0 and `image` is the tensor itself."""

(
    BATCH, IMAGE, IMAGE_BYTES, SOURCE, SOURCE_BYTES, HEIGHT, ROW_VALUES, STAGED_HEIGHT, STAGED_ROW,
    TOP, LEFT, PAD, ZERO_POINT, SIGNED,
) = range(len(STAGING_FIELDS))  # fmt: skip


@intrinsic
def pointer_to(typingctx, address):
    """An integer address as a pointer, for `numba.carray`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], I8.as_pointer())

    return types.voidptr(types.int64), codegen


@intrinsic
def copy_bytes(typingctx, target, source, count):
    """Copy `count` bytes between two addresses that do not overlap."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, source = (builder.inttoptr(a, I8.as_pointer()) for a in args[:2])
        cgutils.raw_memcpy(builder, target, source, args[2], 1)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


@intrinsic
def fill_bytes(typingctx, target, count, value):
    """Fill `count` bytes at an address with `value`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = builder.inttoptr(args[0], I8.as_pointer())
        cgutils.memset(builder, target, args[1], builder.trunc(args[2], I8))
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen


@kernel
def stage_bytes(p, source):
    """Copy one image of bytes into the staged one, with a border of `pad`."""
    width, row = p[ROW_VALUES], p[STAGED_ROW]
    for y in range(p[STAGED_HEIGHT]):
        line = p[IMAGE] + y * row
        inside = y - p[TOP]
        if 0 <= inside < p[HEIGHT]:
            fill_bytes(line, p[LEFT], p[PAD])
            copy_bytes(line + p[LEFT], source + inside * width, width)
            fill_bytes(line + p[LEFT] + width, row - p[LEFT] - width, p[PAD])
        else:
            fill_bytes(line, row, p[PAD])


@kernel
def stage_raised(p, source):
    """Copy one image of int8 into the staged one as uint8, every code 128 more, with a border of the zero point."""
    width, row = p[ROW_VALUES], p[STAGED_ROW]
    pad, flip = p[ZERO_POINT] + 128, np.uint8(128)
    for y in range(p[STAGED_HEIGHT]):
        line = p[IMAGE] + y * row
        inside = y - p[TOP]
        if 0 <= inside < p[HEIGHT]:
            fill_bytes(line, p[LEFT], pad)
            codes = carray(pointer_to(source + inside * width), (width,), np.uint8)
            within = carray(pointer_to(line + p[LEFT]), (width,), np.uint8)
            for i in range(width):
                within[i] = codes[i] ^ flip
            fill_bytes(line + p[LEFT] + width, row - p[LEFT] - width, pad)
        else:
            fill_bytes(line, row, pad)


@kernel
def stage_words(p, source):
    """Copy one image of bytes into the staged one as int16 without its zero point, with a border of 0."""
    width, row = p[ROW_VALUES], p[STAGED_ROW]
    zero_point = np.int16(p[ZERO_POINT])
    for y in range(p[STAGED_HEIGHT]):
        line = p[IMAGE] + 2 * y * row
        inside = y - p[TOP]
        if 0 <= inside < p[HEIGHT]:
            fill_bytes(line, 2 * p[LEFT], 0)
            within = carray(pointer_to(line + 2 * p[LEFT]), (width,), np.int16)
            if p[SIGNED]:
                signed = carray(pointer_to(source + inside * width), (width,), np.int8)
                for i in range(width):
                    within[i] = np.int16(signed[i]) - zero_point
            else:
                unsigned = carray(pointer_to(source + inside * width), (width,), np.uint8)
                for i in range(width):
                    within[i] = np.int16(unsigned[i]) - zero_point
            fill_bytes(line + 2 * (p[LEFT] + width), 2 * (row - p[LEFT] - width), 0)
        else:
            fill_bytes(line, 2 * row, 0)
