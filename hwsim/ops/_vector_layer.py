"""Convolutions and fully connected layers for the vector kernels: packing, offsets, and the array of addresses."""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels import vector_conv2d
from hwsim.kernels.conv2d import Window
from hwsim.kernels.requantize import ROUNDINGS, OutputStage
from hwsim.kernels.vector_output import STAGE_FIELDS
from hwsim.kernels.vector_rounding import PLAIN, PLAIN_SHIFT, PLAIN_SUM
from hwsim.kernels.vector_tile import LANES, QUADS
from hwsim.ops._fixed import Array, Fixed, Held, numbers, scratch, vector_layer

BORDER_LIMIT, BORDER_PIXELS = 4, 1 << 14
"""A staged image may have this many times the pixels of the image, and so many more."""

EFFICIENCY = {1: 0.5, 2: 0.8, 3: 0.95, 4: 1.0}
"""What share of its peak a tile of so many vectors reaches, measured; only the order matters."""


EVERY_SUM = -(2**31)
"""A threshold that every sum reaches; one more than any sum is a threshold that none does."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer that moves a window over images of bytes (height, width, channels) with constant weights.

    weights : int16, zero point removed; of a convolution (out_channels, filter_height, filter_width, channels), of a
        depthwise one (filter_height, filter_width, channels)
    bias : int32 (out_channels,)
    zero_point, signed : the input's, and whether its codes are int8
    """

    window: Window
    weights: NDArray[np.int16]
    bias: NDArray[np.int32]
    stage: OutputStage
    zero_point: int
    signed: bool
    out_height: int
    out_width: int

    def fix(self, source: Array, out: Array) -> Fixed | None:
        """Prepare to run from `source` (batch, height, width, channels) to `out`, both contiguous bytes.

        None where the border would be out of all proportion to the image, as a hostile dilation makes it, and where a
        threshold is one that every sum reaches.
        """
        height, width = self.staged_size(source)
        if self.stage.thresholds.min(initial=0) <= EVERY_SUM:
            return None
        if height * width > BORDER_LIMIT * source.shape[1] * source.shape[2] + BORDER_PIXELS:
            return None
        return self.prepare(source, out)

    def prepare(self, source: Array, out: Array) -> Fixed:
        """As `fix`, for images of a sane size."""
        raise NotImplementedError

    def staged_size(self, source: Array) -> tuple[int, int]:
        """Height and width of an image with its border."""
        w = self.window
        bottom = (self.out_height - 1) * w.stride_height + (w.filter_height - 1) * w.dilation_height + 1
        right = (self.out_width - 1) * w.stride_width + (w.filter_width - 1) * w.dilation_width + 1
        return max(bottom, w.pad_top + source.shape[1]), max(right, w.pad_left + source.shape[2])

    @cached_property
    def _largest_sum(self) -> int:
        """A bound on the magnitude of every sum, before and after bytes are made unsigned."""
        channels = self.bias.size
        axes = (1, 2, 3) if self.weights.ndim == 4 else (0, 1)
        magnitudes = np.abs(self.weights.astype(np.int64)).sum(axis=axes).reshape(channels)
        return int((magnitudes * 256 + np.abs(self.bias.astype(np.int64))).max(initial=0))

    def images(self, source: Array, held: Held, unit: int, *, staged: bool) -> dict[str, int]:
        """The fields that say where images lie. unit : bytes of a staged value; staged : even if it needs no border."""
        _, height, width, channels = source.shape
        w = self.window
        staged_height, staged_width = self.staged_size(source)
        fields = {"batch": source.shape[0], "image_bytes": source[0].nbytes, "zero_point": self.zero_point}
        padded = (staged_height, staged_width) != (height, width)
        if not staged and not padded:
            return fields | {"image": held.place(source), "staged_row": width * channels}
        staged_row = staged_width * channels
        return fields | {
            "image": held.place(scratch(staged_height * staged_row * unit)),
            "source": held.place(source),
            "source_bytes": source[0].nbytes,
            "height": height,
            "row_values": width * channels,
            "staged_height": staged_height,
            "staged_row": staged_row,
            "top": w.pad_top,
            "left": w.pad_left * channels,
            "pad": self.zero_point,
            "signed": int(self.signed),
        }

    def pixels(self, row: int, channels: int, unit: int, tile_rows: int) -> NDArray[np.int64]:
        """Byte offset of every output pixel's first tap; the last is repeated to fill a tile."""
        rows = np.arange(self.out_height)[:, None] * self.window.stride_height * row
        columns = np.arange(self.out_width)[None] * self.window.stride_width * channels
        offsets = (rows + columns).reshape(-1) * unit
        return np.concatenate([offsets, np.repeat(offsets[-1:], tile_rows)]).astype(np.int64)

    def taps(self, row: int, channels: int, unit: int, *, runs: bool) -> NDArray[np.int64]:
        """Byte offset of every tap, or with `runs` of every row of taps."""
        w = self.window
        rows = np.arange(w.filter_height)[:, None] * w.dilation_height * row
        columns = np.arange(1 if runs else w.filter_width)[None] * w.dilation_width * channels
        return np.ascontiguousarray((rows + columns).reshape(-1) * unit, np.int64)

    def outputs(self, out: Array, channels: int, padded: int, tile_rows: int, held: Held) -> dict[str, int]:
        """The fields that say how sums become codes, and where these go."""
        pixels = self.out_height * self.out_width
        return {
            "pixel_count": pixels,
            "channels": channels,
            "stage": held.place(stage_numbers(self.stage, np.arange(padded), held, self._largest_sum)),
            "out": held.place(out),
            "out_bytes": out[0].nbytes,
            "places": held.place(np.arange(pixels + tile_rows, dtype=np.int64) * channels),
        }


class ConvLayer(Layer):
    """Every output channel sums over all input channels."""

    tile_rows = vector_conv2d.TILE_ROWS

    def prepare(self, source: Array, out: Array) -> Fixed:
        held, channels = Held(), source.shape[3]
        unit = 1 if self._quads else 2
        images = self.images(source, held, unit, staged=not self._quads)
        fields = images | self.outputs(out, self.weights.shape[0], self._padded_channels, self._tile_rows, held)
        fields |= {
            "quads": int(self._quads),
            "pixels": held.place(self.pixels(images["staged_row"], channels, unit, self._tile_rows)),
            "tile_rows": self._tile_rows,
            "steps": held.place(self._steps(images["staged_row"], channels, unit)),
            "step_count": self._packed.shape[1],
            "flip": 0x80808080 if self._quads and self.signed else 0,
            "weights": held.place(self._packed),
            "block_bytes": self._packed[0].nbytes,
            "blocks": self._packed.shape[0],
            "vectors": self._vectors,
            "bias": held.place(padded_to(self._bias, self._padded_channels)),
            "sums": held.place(np.empty(self._tile_rows * self._vectors * LANES, np.int32)),
        }
        return vector_layer("conv2d", fields, held)

    @cached_property
    def _quads(self) -> bool:
        """Whether weights fit the byte instruction."""
        return QUADS and bool(self.weights.min(initial=0) >= -128 and self.weights.max(initial=0) <= 127)

    def _steps(self, row: int, channels: int, unit: int) -> NDArray[np.int64]:
        """Byte offset of every step: four bytes of a tap, or of a row of taps."""
        taps = self.taps(row, channels, unit, runs=self._runs)
        within = np.arange(self._packed.shape[1] // taps.size) * 4
        return np.ascontiguousarray((taps[:, None] + within).reshape(-1))

    @cached_property
    def _runs(self) -> bool:
        """Whether a row of the filter is one run of values."""
        return self.window.dilation_width == 1

    @cached_property
    def _vectors(self) -> int:
        """Vectors of a tile that waste least on this many channels; the most for a single pixel."""
        needed = -(-self.weights.shape[0] // LANES)
        rows = self.tile_rows
        if self.out_height * self.out_width == 1:
            return max(rows)
        return min(rows, key=lambda v: (-(-needed // v) * v / EFFICIENCY[v], -v))

    @cached_property
    def _tile_rows(self) -> int:
        return 1 if self.out_height * self.out_width == 1 else self.tile_rows[self._vectors]

    @cached_property
    def _padded_channels(self) -> int:
        return int(self._packed.shape[0]) * self._vectors * LANES

    @cached_property
    def _packed(self) -> Array:
        """Weights as (blocks, steps, vectors, lanes, group)."""
        out, height, _, channels = self.weights.shape
        group = 4 if self._quads else 2
        taps = self.weights.reshape(out, height, -1) if self._runs else self.weights.reshape(out, -1, channels)
        steps, blocks = -(-taps.shape[2] // group), -(-out // (self._vectors * LANES))
        kind = np.int8 if self._quads else np.int16
        filled = np.zeros((blocks * self._vectors * LANES, taps.shape[1], steps * group), kind)
        filled[:out, :, : taps.shape[2]] = taps
        split: Any = filled.reshape(blocks, self._vectors, LANES, taps.shape[1] * steps, group)
        return np.ascontiguousarray(split.transpose(0, 3, 1, 2, 4))

    @cached_property
    def _bias(self) -> NDArray[np.int32]:
        """With bytes, less what the zero point and making codes unsigned add to every sum."""
        if not self._quads:
            return self.bias
        lift = self.zero_point + (128 if self.signed else 0)
        sums: Array = self.weights.astype(np.int64).sum(axis=(1, 2, 3))
        return np.asarray((self.bias - lift * sums).astype(np.int32))


def stage_numbers(stage: OutputStage, order: NDArray[np.int64], held: Held, largest_sum: int) -> NDArray[np.int64]:
    """The output stage as `vector_output.finish` reads it.

    order : the channel of every lane; beyond the last channel it is never stored
    largest_sum : a bound on the magnitude of the sums; below 2^30 a quicker form of the same rounding may do
    """
    rounding = _rule_number(stage, largest_sum)
    assert rounding != ROUNDINGS["thresholds"] or stage.thresholds.size
    arrays: dict[str, Array] = {
        "multiplier": stage.multiplier.astype(np.int32),
        "shift": np.where(stage.multiplier == 0, -1, stage.shift).astype(np.int32),
        "scale32": stage.scale.astype(np.float32),
        "scale64": stage.scale,
    }
    inside = np.minimum(order, stage.shift.size - 1)
    places = {name: held.place(array[inside]) for name, array in arrays.items()}
    places["number"] = held.place(order.astype(np.int32))
    plain = {name: int(getattr(stage, name)) for name in ("zero_point", "minimum", "maximum")}
    if stage.thresholds.size:
        below = np.ascontiguousarray((stage.thresholds[inside] - 1).T.astype(np.int32))
        places |= {"thresholds": held.place(below), "threshold_count": len(below), "threshold_bytes": below[0].nbytes}
    return numbers(STAGE_FIELDS, plain | places | {"rounding": rounding})


def _rule_number(stage: OutputStage, largest_sum: int) -> int:
    """The rounding's number for the vector kernels."""
    names = {number: name for name, number in ROUNDINGS.items()}
    shifts = stage.shift[stage.multiplier != 0]
    right = shifts.max(initial=-1) <= -1 and shifts.min(initial=-1) >= -PLAIN_SHIFT
    whole = (stage.minimum, stage.maximum) == (-128, 127)
    plain = PLAIN.get((names[stage.rounding], whole))
    return plain if plain is not None and right and largest_sum < PLAIN_SUM else stage.rounding


def padded_to(values: Array, size: int) -> Array:
    """`values` with zeros behind them."""
    filled = np.zeros(size, values.dtype)
    filled[: values.size] = values
    return filled


def fits(source: Array, out: Array) -> bool:
    """Whether vector kernels can read this input and write this output: bytes in order, and something to write."""
    return LANES > 0 and source.flags.c_contiguous and source.itemsize == out.itemsize == 1 and prod(out.shape) > 0
