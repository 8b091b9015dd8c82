"""Convolutions by look-ups, prepared once for their weights: by registers where the processor can, else portably.

Tables of a graph are of levels, and multiplying these gives the same sums sooner; what is here executes the look-ups
themselves, also of a table that is no product of levels, such as an approximate multiplier's.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.kernels.bit_serial import GROUP, PATTERNS, bit_serial, plane_codes, subset_sums
from hwsim.kernels.code_patches import code_patches
from hwsim.kernels.conv2d import Window
from hwsim.kernels.product_table import product_lookup
from hwsim.kernels.vector_partial_sums import AVAILABLE, ENTRIES, GROUPS, TILE_ROWS, pack_entry_codes
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._fixed import scratch

if AVAILABLE:
    from hwsim.kernels.vector_lookup_conv2d import (
        LookupPlan,
        bit_serial_conv2d,
        entry_places,
        padded_groups,
        pair_products,
        product_conv2d,
        split_products,
        staged_size,
        wide_product_conv2d,
    )

Array = NDArray[Any]
CODES = 256
LARGEST_PRODUCT = 1 << 27


@dataclass(frozen=True, eq=False)
class Lookups:
    """A window over images whose sums are of looked-up numbers. Not for two threads at once.

    weights : (filters, filter height, filter width, channels)
    out_size : height and width of the output
    """

    weights: Array
    window: Window
    out_size: tuple[int, int]

    def __call__(self, images: Array) -> NDArray[np.int32]:
        """The sums of a batch (batch, height, width, channels), int32 (batch, out height, out width, filters)."""
        out = np.empty((len(images), *self.out_size, len(self.weights)), np.int32)
        self.fastest(images, out)
        return out

    def fastest(self, images: Array, out: NDArray[np.int32]) -> None:
        """Write the sums of a batch, by registers where the processor can."""
        (self.vectors if AVAILABLE else self.portable)(images, out)

    def vectors(self, images: Array, out: NDArray[np.int32]) -> None:
        """Sums by registers; only where `AVAILABLE`."""
        raise NotImplementedError

    def portable(self, images: Array, out: NDArray[np.int32]) -> None:
        """The same sums by the portable kernels."""
        raise NotImplementedError

    def _plan(self, groups: int, repeats: int, *, shared: bool, apart: bool) -> Any:
        """Places, and room for the staged image: tables of its groups, or offsets of shared ones for every two.

        groups : of a pixel; repeats : of every step; apart : whether each has a staged image of its own
        """
        padded = padded_groups(groups)
        pixels, steps = entry_places(self.window, padded, 1 if shared else 2 * ENTRIES, repeats, apart, *self.out_size)
        size = (repeats if apart else 1, *staged_size(self.window, *self.out_size))
        kind, pixel = (np.uint16, (padded // 2,)) if shared else (np.int16, (padded, ENTRIES))
        return LookupPlan(self.window, pixels, steps, _aligned(np.zeros((*size, *pixel), kind)))

    def _patches(self, images: Array, padding: Any) -> Array:
        patches = np.empty((len(images), *self.out_size, self.weights[0].size), images.dtype)
        code_patches(images, self.window, padding, patches)
        return patches.reshape(-1, self.weights[0].size)


@dataclass(frozen=True, eq=False)
class ProductTable(Lookups):
    """Weights and images are codes; table[weight code, activation code] is looked up for every pair.

    weights : uint8, each below the rows of the table, at most 16; table : int32, of any numbers within 2^27
    padding : the activation code outside the image
    """

    table: NDArray[np.int32]
    padding: int = 0

    def __post_init__(self) -> None:
        codes, activations = self.table.shape
        largest = int(np.abs(self.table.astype(np.int64)).max(initial=0))
        if codes > ENTRIES or activations > CODES or largest > LARGEST_PRODUCT:
            raise InputError(
                f"table is {codes} by {activations} of numbers up to {largest}; expected at most {ENTRIES} weight "
                f"codes, {CODES} activation codes and numbers within {LARGEST_PRODUCT}"
            )
        self._check("a weight's code", self.weights.max(initial=0), codes)
        self._check("the code outside the image", self.padding, activations)

    def __call__(self, images: Array) -> NDArray[np.int32]:
        """As every window's; InputError for a code that the table does not have."""
        self._check("an image's code", images.max(initial=0), self.table.shape[1])
        return super().__call__(images)

    def _check(self, name: str, code: int, count: int) -> None:
        if not 0 <= code < count:
            raise InputError(f"{name} is {code}; expected one below {count}, which the table has")

    def vectors(self, images: Array, out: NDArray[np.int32]) -> None:
        codes, tables, bias, plan = self._prepared
        kernel = product_conv2d if self._paired else wide_product_conv2d
        kernel(images, codes, tables, self.padding, bias, plan, out)

    def portable(self, images: Array, out: NDArray[np.int32]) -> None:
        weights = self.weights.reshape(len(self.weights), -1)
        product_lookup(
            self._patches(images, np.uint8(self.padding)), weights, self.table, out.reshape(-1, len(weights))
        )

    @property
    def _paired(self) -> bool:
        """Whether activation codes are so few that every two of them have a table."""
        return bool(self.table.shape[1] <= ENTRIES)

    @cached_property
    def _prepared(self) -> tuple[Array, Array, Array, Any]:
        """Packed codes, tables, what the middles of the weights' entries add up to, and the plan."""
        codes, activations = self.table.shape
        middles, parts = np.zeros(codes, np.int64), np.zeros((2, activations, ENTRIES), np.int16)
        split_products(self.table, middles, parts[0], parts[1])
        parts = parts if parts[1].any() else parts[:1]
        filters, height, width, channels = self.weights.shape
        repeated = np.repeat(self.weights.reshape(filters, height * width, 1, channels), len(parts), axis=2)
        pairs = parts
        if self._paired:
            pairs = np.empty((len(parts), (activations + 1) ** 2, 2 * ENTRIES), np.int16)
            for part, out in zip(parts, pairs, strict=True):
                pair_products(part, out)
        plan = self._plan(channels, len(parts), shared=self._paired, apart=True)
        bias = middles[self.weights].sum(axis=(1, 2, 3)).astype(np.int32)
        return _packed(repeated), _aligned(pairs), bias, plan


@dataclass(frozen=True, eq=False)
class BitSerial(Lookups):
    """Weights are planes of bits: for every four activations the sum that a plane's four bits choose, as in T-MAC.

    weights : int16, `bits` in two's complement where `signed`, else from 0 on, at most 8
    zero_point : of the images, int8 or uint8
    """

    bits: int
    signed: bool = True
    zero_point: int = 0

    def vectors(self, images: Array, out: NDArray[np.int32]) -> None:
        codes, plan = self._prepared
        bias = np.zeros(len(self.weights), np.int32)
        bit_serial_conv2d(images, self.zero_point, codes, self.bits, self.signed, bias, plan, out)

    def portable(self, images: Array, out: NDArray[np.int32]) -> None:
        rows = self._patches(images, images.dtype.type(self.zero_point)).astype(np.int16) - np.int16(self.zero_point)
        weights = self.weights.reshape(len(self.weights), -1)
        groups = -(-weights.shape[1] // GROUP)
        codes = np.empty((self.bits, len(weights), groups), np.uint8)
        tables, sums = np.empty((groups, PATTERNS, len(rows)), np.int32), np.empty((len(weights), len(rows)), np.int32)
        plane_codes(weights, self.bits, codes)
        subset_sums(rows, tables)
        bit_serial(tables, codes, self.signed, sums)
        out[...] = sums.T.reshape(out.shape)

    @cached_property
    def _prepared(self) -> tuple[Array, Any]:
        """Packed codes and the plan."""
        filters, height, width, channels = self.weights.shape
        groups = -(-channels // GROUP)
        planes = np.empty((self.bits, filters * height * width, groups), np.uint8)
        plane_codes(self.weights.reshape(-1, channels), self.bits, planes)
        codes = planes.reshape(self.bits, filters, height * width, groups).transpose(1, 2, 0, 3)
        return _packed(codes), self._plan(groups, self.bits, shared=False, apart=False)


def _packed(codes: Array) -> Array:
    """Codes (filters, taps, repeats, groups) for `sum_entries`."""
    filters, taps, repeats, groups = codes.shape
    most = len(TILE_ROWS) - 1
    vectors = min(most, -(-filters // LANES))
    blocks, steps = -(-filters // (vectors * LANES)), taps * repeats * -(-groups // GROUPS)
    out = _aligned(np.empty((blocks, steps, vectors, LANES, 2, 2), np.uint8))
    pack_entry_codes(np.ascontiguousarray(codes), out)
    return out


def _aligned(array: Array) -> Array:
    """A copy that begins at a multiple of 64 bytes."""
    copy: Array = scratch(array.nbytes)[: array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
