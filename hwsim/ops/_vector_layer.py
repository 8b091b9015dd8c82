"""Convolutions and fully connected layers for the vector kernels: packing, offsets, and the array of addresses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels.conv2d import Window
from hwsim.kernels.requantize import OutputStage
from hwsim.kernels.vector_conv2d import FIELDS, TILE_ROWS, vector_conv2d
from hwsim.kernels.vector_output import STAGE_FIELDS
from hwsim.kernels.vector_tile import LANES, QUADS
from hwsim.ops._fixed import Array, address, numbers, scratch

EFFICIENCY = {1: 0.5, 2: 0.8, 3: 0.95, 4: 1.0}
"""What share of its peak a tile of so many vectors reaches, measured; only the order matters."""


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution over (height, width, channels) images with constant weights.

    weights : int16 (out_channels, filter_height, filter_width, channels), zero point removed
    bytes_fit : the weights are int8 codes without a zero point
    """

    window: Window
    weights: NDArray[np.int16]
    bias: NDArray[np.int32]
    stage: OutputStage
    zero_point: int
    signed: bool
    out_height: int
    out_width: int

    def fix(self, source: Array, out: Array) -> Callable[[], None]:
        """Prepare to run from `source` (batch, height, width, channels) to `out`, both bytes and contiguous."""
        held: list[Array] = [source, out]

        def place(array: Array) -> int:
            held.append(array)
            return address(array)

        vectors = _vectors(self.weights.shape[0])
        quads = QUADS and -128 <= self.weights.min(initial=0) and self.weights.max(initial=0) <= 127
        pixels = self.out_height * self.out_width
        tile_rows = TILE_ROWS[vectors] if pixels > 1 else 1
        if tile_rows == 1:
            vectors = max(TILE_ROWS)
        packed, bias = _packed(self.weights, self._runs(), vectors, quads), self._bias(quads)
        staged, geometry = self._geometry(source, quads)
        values = geometry | {
            "batch": source.shape[0],
            "image": place(staged) if staged is not None else address(source),
            "pixels": place(self._pixels(geometry["staged_row"], tile_rows, 1 if quads else 2)),
            "pixel_count": pixels,
            "tile_rows": tile_rows,
            "taps": place(self._taps(geometry["staged_row"], 1 if quads else 2)),
            "tap_count": packed.shape[1],
            "steps": packed.shape[2],
            "flip": 0x80808080 if quads and self.signed else 0,
            "weights": place(packed),
            "block_bytes": packed[0].nbytes,
            "blocks": packed.shape[0],
            "vectors": vectors,
            "channels": self.weights.shape[0],
            "bias": place(_padded(bias, packed.shape[0] * vectors * LANES)),
            "sums": place(np.empty(tile_rows * vectors * LANES, np.int32)),
            "stage": place(stage_numbers(self.stage, packed.shape[0] * vectors * LANES, held)),
            "out": address(out),
            "out_bytes": out[0].nbytes,
            "places": place(np.arange(pixels + tile_rows, dtype=np.int64) * self.weights.shape[0]),
            "quads": int(quads),
        }
        return _run(numbers(FIELDS, values), held)

    def _runs(self) -> bool:
        """Whether a row of the filter is one run of bytes."""
        return self.window.dilation_width == 1

    def _bias(self, quads: bool) -> NDArray[np.int32]:
        if not quads:
            return self.bias
        lift = self.zero_point + (128 if self.signed else 0)
        sums = self.weights.astype(np.int64).sum(axis=(1, 2, 3))
        return (self.bias.astype(np.int64) - lift * sums).astype(np.int32)

    def _geometry(self, source: Array, quads: bool) -> tuple[Array | None, dict[str, int]]:
        """The staged image, None where tiles read the tensor itself; and the fields that describe both."""
        _, height, width, channels = source.shape
        w = self.window
        bottom = (self.out_height - 1) * w.stride_height + (w.filter_height - 1) * w.dilation_height + 1 - w.pad_top
        right = (self.out_width - 1) * w.stride_width + (w.filter_width - 1) * w.dilation_width + 1 - w.pad_left
        padded = w.pad_top > 0 or w.pad_left > 0 or bottom > height or right > width
        fields = {"image_bytes": source[0].nbytes, "staged_row": width * channels}
        if quads and not padded:
            return None, fields
        staged_height = w.pad_top + max(bottom, height)
        staged_row = (w.pad_left + max(right, width)) * channels
        staged = scratch(staged_height * staged_row * (1 if quads else 2))
        return staged, fields | {
            "source": address(source),
            "source_bytes": source[0].nbytes,
            "height": height,
            "row_values": width * channels,
            "staged_height": staged_height,
            "staged_row": staged_row,
            "top": w.pad_top,
            "left": w.pad_left * channels,
            "pad": self.zero_point if self.signed or self.zero_point < 128 else self.zero_point - 256,
            "zero_point": self.zero_point,
            "signed": int(self.signed),
        }

    def _pixels(self, staged_row: int, tile_rows: int, unit: int) -> NDArray[np.int64]:
        """Byte offset of every output pixel's first tap; the last is repeated to fill a tile."""
        rows = np.arange(self.out_height)[:, None] * self.window.stride_height * staged_row
        columns = np.arange(self.out_width)[None] * self.window.stride_width * self.weights.shape[3]
        offsets = (rows + columns).reshape(-1) * unit
        return np.concatenate([offsets, np.repeat(offsets[-1:], tile_rows)]).astype(np.int64)

    def _taps(self, staged_row: int, unit: int) -> NDArray[np.int64]:
        w = self.window
        rows = np.arange(w.filter_height)[:, None] * w.dilation_height * staged_row
        if self._runs():
            return np.ascontiguousarray(rows.reshape(-1) * unit, np.int64)
        columns = np.arange(w.filter_width)[None] * w.dilation_width * self.weights.shape[3]
        return np.ascontiguousarray((rows + columns).reshape(-1) * unit, np.int64)


def stage_numbers(stage: OutputStage, channels: int, held: list[Array]) -> NDArray[np.int64]:
    """The output stage as `vector_output.finish` reads it; the arrays it points to join `held`."""
    arrays = {
        "multiplier": _padded(stage.multiplier.astype(np.int32), channels),
        "shift": _padded(stage.shift.astype(np.int32), channels),
        "scale32": _padded(stage.scale.astype(np.float32), channels),
        "scale64": _padded(stage.scale, channels),
    }
    held.extend(arrays.values())
    plain = {name: int(getattr(stage, name)) for name in ("rounding", "zero_point", "minimum", "maximum")}
    return numbers(STAGE_FIELDS, plain | {name: address(array) for name, array in arrays.items()})


def _run(fields: NDArray[np.int64], held: list[Array]) -> Callable[[], None]:
    run = partial(vector_conv2d, fields)
    run.held = held  # type: ignore[attr-defined]
    return run


def _vectors(channels: int) -> int:
    """Vectors of a tile that waste least on this many channels."""
    needed = -(-channels // LANES)
    return min(TILE_ROWS, key=lambda v: (-(-needed // v) * v / EFFICIENCY[v], -v))


def _packed(weights: NDArray[np.int16], runs: bool, vectors: int, quads: bool) -> Array:
    """Weights as (blocks, taps, steps, vectors, lanes, group)."""
    out, height, width, channels = weights.shape
    group = 4 if quads else 2
    taps = weights.reshape(out, height, width * channels) if runs else weights.reshape(out, height * width, channels)
    steps, blocks = -(-taps.shape[2] // group), -(-out // (vectors * LANES))
    filled = np.zeros((blocks * vectors * LANES, taps.shape[1], steps * group), np.int8 if quads else np.int16)
    filled[:out, :, : taps.shape[2]] = taps
    split: Any = filled.reshape(blocks, vectors, LANES, taps.shape[1], steps, group)
    return np.ascontiguousarray(split.transpose(0, 3, 4, 1, 2, 5))


def _padded(values: Array, size: int) -> Array:
    """`values` with zeros behind them."""
    filled = np.zeros(size, values.dtype)
    filled[: values.size] = values
    return filled
