"""Convolutions by look-ups, by registers and portably, against sums of plain integers."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hwsim.errors import InputError
from hwsim.kernels import config
from hwsim.kernels.conv2d import Window
from hwsim.kernels.vector_partial_sums import AVAILABLE
from hwsim.ops._vector_lookup import BitSerial, Lookups, ProductTable
from tests.naive.linear import window as placed

BOTH = pytest.mark.parametrize("way", ["fastest", "portable"] if AVAILABLE else ["portable"])
COMPILED = not config.DISABLE_JIT
RANDOM = np.random.default_rng(3)


def geometry(size: tuple[int, int], kernel: tuple[int, int], **moving: Any) -> tuple[Window, tuple[int, int]]:
    """The window and the size of its output."""
    stride, dilation = moving.get("stride", (1, 1)), moving.get("dilation", (1, 1))
    steps = zip(size, kernel, stride, dilation, strict=True)
    (top, height), (left, width) = (placed(moving.get("padding", "same"), a, *step) for a, step in enumerate(steps))
    return Window(*kernel, *stride, *dilation, top, left), (height, width)


def windows(images: Any, layer: Lookups, outside: int) -> Any:
    """The taps under every window: (batch, height, width, filter height, filter width, channels)."""
    w, (height, width) = layer.window, layer.out_size
    padded = np.pad(images, ((0, 0), (w.pad_top, 99), (w.pad_left, 99), (0, 0)), constant_values=outside)
    rows = np.arange(height)[:, None] * w.stride_height + np.arange(w.filter_height) * w.dilation_height
    columns = np.arange(width)[:, None] * w.stride_width + np.arange(w.filter_width) * w.dilation_width
    return padded[:, rows[:, None, :, None], columns[None, :, None, :]]


def looked_up(images: Any, layer: ProductTable) -> Any:
    """The sums, every product read from the table, in int64."""
    taps = windows(images, layer, layer.padding)[..., None, :, :, :]
    return layer.table.astype(np.int64)[layer.weights, taps].sum(axis=(-3, -2, -1))


def run(layer: Lookups, images: Any, way: str) -> Any:
    """The sums that `layer` gives, by registers where the processor can or not."""
    if way == "fastest":
        return layer(images)
    out = np.empty((len(images), *layer.out_size, len(layer.weights)), np.int32)
    layer.portable(images, out)
    return out


def any_table(codes: int, activations: int, largest: int) -> Any:
    return RANDOM.integers(-largest, largest + 1, (codes, activations)).astype(np.int32)


@BOTH
@pytest.mark.parametrize("bits", list(product((1, 2, 3, 4), repeat=2)))
@pytest.mark.parametrize("largest", [3, 16383, 32767, 2**20])
def test_every_pair_of_codes(bits, largest, way):
    """One product each: rows of one activation, filters of one weight, and sums of all activations in turn."""
    table = any_table(1 << bits[0], 1 << bits[1], largest)
    images = np.arange(1 << bits[1], dtype=np.uint8).reshape(1, -1, 1, 1)
    weights = np.arange(1 << bits[0], dtype=np.uint8).reshape(-1, 1, 1, 1)
    layer = ProductTable(weights, *geometry((1 << bits[1], 1), (1, 1)), table)
    assert_array_equal(run(layer, images, way)[0, :, 0], table.T)


@BOTH
@pytest.mark.parametrize(("codes", "activations"), [(4, 4), (7, 8), (16, 16), (15, 11), (16, 17), (16, 256), (3, 256)])
@pytest.mark.parametrize("channels", [1, 3, 4, 6, 17])
@pytest.mark.parametrize("largest", [120, 32385, 2**22])
def test_tables_of_any_numbers(codes, activations, channels, largest, way):
    table, filters = any_table(codes, activations, largest), int(RANDOM.integers(1, 90 if COMPILED else 4))
    images = RANDOM.integers(0, activations, (2, 5, 6, channels)).astype(np.uint8)
    weights = RANDOM.integers(0, codes, (filters, 3, 3, channels)).astype(np.uint8)
    layer = ProductTable(weights, *geometry((5, 6), (3, 3)), table, int(RANDOM.integers(activations)))
    assert_array_equal(run(layer, images, way), looked_up(images, layer))


MOVES = [((1, 1), (2, 1), (1, 1)), ((3, 3), (2, 2), (1, 2)), ((2, 5), (1, 3), (2, 1)), ((3, 3), (1, 1), (3, 3))]


@BOTH
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "stride", "dilation"), MOVES)
@pytest.mark.parametrize("filters", [1, 16, 33, 50, 64, 130] if COMPILED else [3])
def test_windows_and_filters(filters, kernel, stride, dilation, padding, way):
    frame = geometry((9, 8), kernel, stride=stride, dilation=dilation, padding=padding)
    images = RANDOM.integers(0, 16, (2, 9, 8, 10)).astype(np.uint8)
    weights = RANDOM.integers(0, 16, (filters, *kernel, 10)).astype(np.uint8)
    layer = ProductTable(weights, *frame, any_table(16, 16, 32385), 5)
    assert_array_equal(run(layer, images, way), looked_up(images, layer))
    signed = BitSerial(weights.astype(np.int16) - 8, *frame, 4, True, 3)
    assert_array_equal(run(signed, images, way), windows(images.astype(int) - 3, signed, 0).reshape(
        2, *frame[1], -1) @ signed.weights.reshape(filters, -1).T.astype(int))  # fmt: skip


@BOTH
@pytest.mark.parametrize("rows", [1, 2, 7])
@pytest.mark.parametrize("depth", [1, 5, 64, 333])
def test_fully_connected(rows, depth, way):
    images = RANDOM.integers(0, 16, (1, rows, 1, depth)).astype(np.uint8)
    weights = RANDOM.integers(0, 16, (70, 1, 1, depth)).astype(np.uint8)
    layer = ProductTable(weights, *geometry((rows, 1), (1, 1)), any_table(16, 16, 30000))
    assert_array_equal(run(layer, images, way), looked_up(images, layer))


@BOTH
@pytest.mark.parametrize(("bits", "signed"), [(b, s) for b in (1, 2, 3, 4, 8) for s in (False, True)])
@pytest.mark.parametrize("channels", [1, 4, 7, 16, 20])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_bit_serial_is_the_integer_product(bits, signed, channels, dtype, way):
    low = -(1 << (bits - 1)) if signed else 0
    info = np.iinfo(dtype)
    images = RANDOM.choice([info.min, info.max, 0, 17], (2, 4, 5, channels)).astype(dtype)
    weights = RANDOM.integers(low, low + (1 << bits), (19, 3, 3, channels)).astype(np.int16)
    zero_point = int(RANDOM.integers(info.min, info.max, endpoint=True))
    layer = BitSerial(weights, *geometry((4, 5), (3, 3)), bits, signed, zero_point)
    taps = windows(images.astype(int) - zero_point, layer, 0).reshape(2, 4, 5, -1)
    assert_array_equal(run(layer, images, way), taps @ weights.reshape(19, -1).T.astype(int))


def test_what_a_table_does_not_have_is_refused():
    frame, table = geometry((2, 2), (1, 1)), any_table(4, 8, 9)
    images, weights = np.full((1, 2, 2, 1), 8, np.uint8), np.zeros((1, 1, 1, 1), np.uint8)
    with pytest.raises(InputError, match=r"^an image's code is 8; expected one below 8, which the table has$"):
        ProductTable(weights, *frame, table)(images)
    with pytest.raises(InputError, match=r"^a weight's code is 4; expected one below 4, which the table has$"):
        ProductTable(weights + np.uint8(4), *frame, table)
    with pytest.raises(InputError, match=r"^table is 17 by 2 of numbers up to 0; expected at most 16 weight"):
        ProductTable(weights, *frame, np.zeros((17, 2), np.int32))
