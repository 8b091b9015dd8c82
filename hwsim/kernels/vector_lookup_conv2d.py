"""Convolutions that look up instead of multiplying, in registers: product tables of any numbers, and planes of bits.

A fully connected layer is a window of 1 by 1 over an image of one column.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from hwsim.kernels import kernel
from hwsim.kernels.conv2d import Window
from hwsim.kernels.vector_instructions import I8, I16, vector
from hwsim.kernels.vector_partial_sums import (
    ENTRIES,
    GROUPS,
    HIGH_WORTH,
    LARGEST_ENTRY,
    MOST_ROWS,
    TABLE_BYTES,
    sum_entries,
)
from hwsim.kernels.vector_tile import Loop, integer, load, splat, store


@kernel
def split_products(table, middles, low, high):
    """A product table in entries of 15 bits: table[w, a] = middles[w] + low[a, w] + 2^14 * high[a, w].

    table : int32 (weight codes, activation codes), at most 16 weight codes, numbers within 2^27
    middles : int64 (weight codes,); low, high : int16 (activation codes, 16); `high` is often 0 throughout
    """
    low[:], high[:] = np.int16(0), np.int16(0)
    for w in range(table.shape[0]):
        middles[w] = (np.int64(table[w].min()) + np.int64(table[w].max())) // 2
        for a in range(table.shape[1]):
            rest = np.int64(table[w, a]) - middles[w]
            part = np.int64(0)
            if abs(rest) > LARGEST_ENTRY:
                part = (rest + np.int64(HIGH_WORTH // 2)) // np.int64(HIGH_WORTH)
            high[a, w] = np.int16(part)
            low[a, w] = np.int16(rest - part * np.int64(HIGH_WORTH))


@kernel
def pair_products(parts, out):
    """The tables of every two activation codes, one of them behind the other; a last code stands for none, 0 all over.

    parts : int16 (activation codes, 16); out : int16 ((activation codes + 1)^2, 32)
    """
    activations = parts.shape[0]
    out[:] = np.int16(0)
    for first in range(activations + 1):
        for second in range(activations + 1):
            place = first * (activations + 1) + second
            if first < activations:
                out[place, :ENTRIES] = parts[first]
            if second < activations:
                out[place, ENTRIES:] = parts[second]


class LookupPlan(NamedTuple):
    """What a layer that looks up needs besides its weights.

    pixels, steps : `entry_places`'
    staged : for every part and pixel of the staged image the tables of its groups, int16 (parts, height, width, groups,
        16), or the offsets of its pairs', uint16 (parts, height, width, pairs); zeros at first; written
    """

    window: Window
    pixels: NDArray[np.int64]
    steps: NDArray[np.int64]
    staged: NDArray[np.int16] | NDArray[np.uint16]


@kernel
def product_conv2d(images, codes, tables, padding, bias, plan, out):
    """out = bias + the sum over a window of table[weight code, activation code], of a table of any numbers.

    images : uint8 (batch, height, width, channels), each below the number of activation codes, which is at most 16
    codes : `pack_entry_codes`' of (filters, taps, parts, channels), the same for every part
    tables : int16 (parts, pairs of activation codes, 32), `pair_products` of `split_products`' low, and of its high
        where that is not 0
    padding : the activation code outside the image; bias : int32 (filters,), with the middles of a filter's weights
    plan : whose staged image has offsets; out : int32 (batch, out_height, out_width, filters)
    """
    parts, pairs, _ = tables.shape
    base = np.int64(np.sqrt(np.float64(pairs)))
    worths = part_worths(parts, plan.steps.shape[0])
    image, flat = plan.staged.reshape(-1, 1), tables.reshape(-1, 2 * ENTRIES)
    for n in range(out.shape[0]):
        for part in range(parts):
            stage_pairs(images[n], base, part * pairs, padding, plan.window, plan.staged[part])
        sum_entries(image, flat, plan.pixels, plan.steps, codes, worths, bias, out[n].reshape(-1, out.shape[3]))


@kernel
def wide_product_conv2d(images, codes, tables, padding, bias, plan, out):
    """As `product_conv2d` with any number of activation codes, such as those of bytes.

    tables : int16 (parts, activation codes, 16); plan : whose staged image has tables
    """
    worths, flat = part_worths(tables.shape[0], plan.steps.shape[0]), plan.staged.reshape(-1, ENTRIES)
    for n in range(out.shape[0]):
        for part in range(tables.shape[0]):
            stage_tables(images[n], tables[part], padding, plan.window, plan.staged[part])
        sum_entries(flat, flat, plan.pixels, plan.steps, codes, worths, bias, out[n].reshape(-1, out.shape[3]))


@kernel
def bit_serial_conv2d(images, zero_point, codes, bits, signed, bias, plan, out):
    """out = bias + the convolution of images and weights, of which every four bits of a plane are one look-up.

    images : int8 or uint8 (batch, height, width, channels); zero_point : what is subtracted, and outside the image
    codes : `pack_entry_codes`' of (filters, taps, bits, groups of four channels), see `bit_serial.plane_codes`
    bits, signed : of the weights, in two's complement; bias : int32 (filters,)
    plan : of `bits` steps at every place, whose staged image has tables of one part
    out : int32 (batch, out_height, out_width, filters)
    """
    worths, flat = np.empty(plan.steps.shape[0], np.int16), plan.staged.reshape(-1, ENTRIES)
    for s in range(worths.shape[0]):
        worth = np.int64(1) << np.int64(s % bits)
        worths[s] = np.int16(-worth if signed and s % bits == bits - 1 else worth)
    for n in range(out.shape[0]):
        stage_subsets(images[n], zero_point, plan.window, plan.staged[0])
        sum_entries(flat, flat, plan.pixels, plan.steps, codes, worths, bias, out[n].reshape(-1, out.shape[3]))


@kernel
def padded_groups(groups):
    """`groups` rounded up to whole steps."""
    return (groups + GROUPS - 1) // GROUPS * GROUPS


@kernel
def part_worths(parts, steps):
    """What steps are worth that are of the low and of the high part in turn, or of the low one alone."""
    worths = np.ones(steps, np.int16)
    worths[1::parts] = np.int16(HIGH_WORTH if parts == 2 else 1)
    return worths


@kernel
def staged_size(window, out_height, out_width):
    """Height and width of what all windows reach."""
    height = (out_height - 1) * window.stride_height + (window.filter_height - 1) * window.dilation_height + 1
    return height, (out_width - 1) * window.stride_width + (window.filter_width - 1) * window.dilation_width + 1


@kernel
def entry_places(window, groups, group_bytes, repeats, apart, out_height, out_width):
    """Where the windows and steps of `sum_entries` are, in bytes: (pixels, steps).

    groups, group_bytes : of a pixel of the staged image; repeats : of every step of every tap; apart : whether each is
        of a staged image of its own
    """
    height, width = staged_size(window, out_height, out_width)
    pixel_bytes, count = groups * group_bytes, out_height * out_width
    pixels = np.empty(count + MOST_ROWS, np.int64)
    for p in range(count + MOST_ROWS):
        y, x = min(p, count - 1) // out_width, min(p, count - 1) % out_width
        pixels[p] = (y * window.stride_height * width + x * window.stride_width) * pixel_bytes
    steps = np.empty(window.filter_height * window.filter_width * (groups // GROUPS) * repeats, np.int64)
    s = 0
    for ky in range(window.filter_height):
        for kx in range(window.filter_width):
            tap = (ky * window.dilation_height * width + kx * window.dilation_width) * pixel_bytes
            for g in range(0, groups, GROUPS):
                for r in range(repeats):
                    steps[s] = tap + g * group_bytes + (r * height * width * pixel_bytes if apart else 0)
                    s += 1
    return pixels, steps


@kernel
def stage_pairs(image, base, first, padding, window, out):
    """The byte offsets of the tables of every two codes, counted from the table `first` on.

    base : activation codes and one more, which stands for a channel that is missing; padding : the code outside the
        image; out : uint16 (height, width, pairs)
    """
    height, width, channels = image.shape
    outside = np.uint16((first + padding * base + padding) * 2 * TABLE_BYTES)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            row, column = y - window.pad_top, x - window.pad_left
            out[y, x] = np.uint16((first + base * base - 1) * 2 * TABLE_BYTES)
            inside = 0 <= row < height and 0 <= column < width
            if inside:
                for pair in range(channels // 2):
                    codes = np.int32(image[row, column, 2 * pair]) * base + np.int32(image[row, column, 2 * pair + 1])
                    out[y, x, pair] = np.uint16((first + codes) * 2 * TABLE_BYTES)
            else:
                out[y, x, : channels // 2] = outside
            if channels % 2:
                last = np.int64(image[row, column, channels - 1]) if inside else np.int64(padding)
                out[y, x, channels // 2] = np.uint16((first + last * base + base - 1) * 2 * TABLE_BYTES)


@kernel
def stage_tables(image, table, padding, window, out):
    """The tables of an image's codes: out[y, x, c] = table[code]; groups beyond the channels are left as they are."""
    height, width, channels = image.shape
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            row, column = y - window.pad_top, x - window.pad_left
            inside = 0 <= row < height and 0 <= column < width
            target = out[y, x].ctypes.data
            for c in range(channels):
                code = np.int64(image[row, column, c]) if inside else np.int64(padding)
                copy_table(target + TABLE_BYTES * c, table.ctypes.data + TABLE_BYTES * code)


@intrinsic
def copy_table(typingctx, target, source):
    """Copy the 16 entries of a table between two addresses."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, source = (builder.inttoptr(address, I8.as_pointer()) for address in args)
        store(builder, target, integer(0), load(builder, source, integer(0), vector(I16, ENTRIES)))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


@kernel
def stage_subsets(image, zero_point, window, out):
    """The sums of all subsets of each four activations of an image; what is outside counts as 0."""
    height, width, channels = image.shape
    values = np.zeros(GROUPS * out.shape[2], np.int16)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            row, column = y - window.pad_top, x - window.pad_left
            if 0 <= row < height and 0 <= column < width:
                for c in range(channels):
                    values[c] = np.int16(image[row, column, c]) - np.int16(zero_point)
                sums_of_subsets(values.ctypes.data, out[y, x].ctypes.data, out.shape[2])
            else:
                out[y, x] = np.int16(0)


@intrinsic
def sums_of_subsets(typingctx, values, out, groups):
    """For `groups` >= 1 times four int16 the sums of their 16 subsets: bit i of a sum's place stands for value i."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values, out = (builder.inttoptr(address, I8.as_pointer()) for address in args[:2])
        over, kind = Loop(builder, args[2], []), vector(I16, ENTRIES)
        total = ir.Constant(kind, [0] * ENTRIES)
        for i in range(GROUPS):
            place = builder.add(builder.mul(over.index, integer(2 * GROUPS)), integer(2 * i))
            member = ir.Constant(kind, [-(j >> i & 1) for j in range(ENTRIES)])
            total = builder.add(total, builder.and_(splat(builder, load(builder, values, place, I16), ENTRIES), member))
        store(builder, out, builder.mul(over.index, integer(TABLE_BYTES)), total)
        over.end([])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), codegen
