"""Depthwise convolutions for the vector kernels: by byte dot products where they fit, else by pairs of taps."""

from functools import cached_property
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hwsim.kernels import vector_depthwise_conv2d, vector_depthwise_quads
from hwsim.kernels.vector_depthwise_quads import WIDTH
from hwsim.kernels.vector_tile import LANES, QUADS
from hwsim.ops._fixed import Array, Fixed, Held, vector_layer
from hwsim.ops._vector_layer import Layer, padded_to, stage_numbers

BAND_BYTES = 16 << 10
"""Output computed with one block of weights before the next one: rows that stay in the first-level cache."""

PHASES = 16
"""Blocks of weights that are worth running over pixels; with more, every pixel starts anew."""

FEW_CHANNELS = 32
"""Where pixels start anew, a run is too wide for fewer channels than these."""


class DepthwiseLayer(Layer):
    """Every output channel reads the input channel of its number."""

    def prepare(self, source: Array, out: Array) -> Fixed:
        return self._by_quads(source, out) if self._quads else self._by_pairs(source, out)

    def _by_pairs(self, source: Array, out: Array) -> Fixed:
        """A few pixels of one or two vectors of channels at a time."""
        held, channels = Held(), source.shape[3]
        images = self.images(source, held, 1, staged=False)
        rows, padded = vector_depthwise_conv2d.ROWS, self._packed.shape[0] * self._vectors * LANES
        taps = self.taps(images["staged_row"], channels, 1, runs=False)
        fields = images | self.outputs(out, channels, padded, rows, held)
        fields |= {
            "pixels": held.place(self.pixels(images["staged_row"], channels, 1, rows)),
            "taps": held.place(np.append(taps, taps[-1:]) if taps.size % 2 else taps),
            "pair_count": self._packed.shape[1],
            "flip": 0 if self.signed else 0x80,
            "weights": held.place(self._packed),
            "block_bytes": self._packed[0].nbytes,
            "blocks": self._packed.shape[0],
            "vectors": self._vectors,
            "narrow": int(self.signed and np.abs(self.weights).max(initial=0) <= 127),
            "bias": held.place(padded_to(self._lifted_bias(0 if self.signed else -128), padded)),
            "sums": held.place(np.empty(rows * self._vectors * LANES, np.int32)),
        }
        return vector_layer("depthwise_conv2d", fields, held)

    @cached_property
    def _packed(self) -> NDArray[np.int16]:
        """Weights as (blocks, pairs of taps, tap, channels of the block)."""
        height, width, channels = self.weights.shape
        size = self._vectors * LANES
        pairs, blocks = -(-height * width // 2), -(-channels // size)
        filled = np.zeros((pairs * 2, blocks * size), np.int16)
        filled[: height * width, :channels] = self.weights.reshape(-1, channels)
        return np.ascontiguousarray(filled.reshape(pairs, 2, blocks, size).transpose(2, 0, 1, 3))

    @cached_property
    def _vectors(self) -> int:
        """Vectors of a tile: two, unless one holds all channels or what two would leave empty."""
        needed = -(-self.weights.shape[2] // LANES)
        return 2 if needed % 2 == 0 or needed > 4 else 1

    def _lifted_bias(self, lift: int) -> NDArray[np.int32]:
        """Less what the zero point adds to every sum. lift : what is added to the codes"""
        sums: Array = self.weights.astype(np.int64).sum(axis=(0, 1))
        return np.asarray((self.bias - (self.zero_point + lift) * sums).astype(np.int32))

    @cached_property
    def _quads(self) -> bool:
        """Whether weights fit two bytes added, and runs are not mostly empty."""
        fit = bool(self.weights.min(initial=0) >= -256 and self.weights.max(initial=0) <= 254)
        return QUADS and fit and (self._across or self.weights.shape[2] >= FEW_CHANNELS)

    @cached_property
    def _across(self) -> bool:
        """Whether runs go over neighbouring pixels, which then need not fill whole runs by themselves."""
        channels = self.weights.shape[2]
        return self.window.stride_width == 1 and (channels < WIDTH or channels // gcd(channels, WIDTH) <= PHASES)

    def _by_quads(self, source: Array, out: Array) -> Fixed:
        """Runs of 64 values at a time, four taps at once."""
        held, channels = Held(), source.shape[3]
        images = self.images(source, held, 1, staged=self.signed)
        runs = self._runs(images["staged_row"], channels)
        order = np.array(vector_depthwise_quads.lane_order())
        lanes = (runs.phases[:, None] + order).reshape(-1) % channels
        taps = self.taps(images["staged_row"], channels, 1, runs=False)[[tap for tap, _ in self._byte_parts]]
        weights = _by_lanes(np.stack([part for _, part in self._byte_parts]), lanes)
        fields = images | {
            "tiles": runs.blocks.size,
            "blocks": held.place(runs.blocks),
            "runs": held.place(runs.sources),
            "places": held.place(runs.places),
            "taps": held.place(np.append(taps, np.repeat(taps[-1:], -taps.size % 4))),
            "quad_count": weights.shape[1],
            "weights": held.place(weights),
            "block_bytes": weights[0].nbytes,
            "bias": held.place(self._lifted_bias(128 if self.signed else 0)[lanes]),
            "sums": held.place(np.empty(vector_depthwise_quads.ROWS * WIDTH, np.int32)),
            "stage": held.place(stage_numbers(self.stage, lanes, held, self._largest_sum)),
            "channels": channels,
            "run_values": runs.width,
            "out": held.place(out),
            "out_bytes": out[0].nbytes,
        }
        return vector_layer("depthwise_quads", fields, held)

    @cached_property
    def _byte_parts(self) -> list[tuple[int, NDArray[np.int8]]]:
        """Taps and their weights as bytes; a tap with weights beyond a byte comes twice, with what is left over."""
        taps = self.weights.reshape(-1, self.weights.shape[2])
        first = np.clip(taps, -128, 127)
        rest = taps - first
        parts = [*enumerate(first), *((tap, left) for tap, left in enumerate(rest) if left.any())]
        return [(tap, weights.astype(np.int8)) for tap, weights in parts]

    def _runs(self, staged_row: int, channels: int) -> "_Runs":
        """Cut every row of the output into runs; a last one that is not whole begins earlier, over values of others."""
        length = self.out_width * channels if self._across else channels
        width = min(length, WIDTH)
        starts = np.append(np.arange(0, length - width, WIDTH), length - width)
        pixels = np.arange(1 if self._across else self.out_width)[:, None]
        phases, blocks = np.unique(starts % channels, return_inverse=True)
        sources = (pixels * self.window.stride_width * channels + starts).reshape(-1)
        places = (pixels * channels + starts).reshape(-1)
        rows = np.arange(self.out_height)[:, None]
        bands = rows // max(1, BAND_BYTES // (self.out_width * channels))
        groups = (bands * phases.size + np.tile(blocks.reshape(-1), pixels.size)).reshape(-1)
        order = _tiled(groups)
        sources = (rows * self.window.stride_height * staged_row + sources).reshape(-1)[order]
        places = (rows * self.out_width * channels + places).reshape(-1)[order]
        return _Runs(phases, groups[order[:: vector_depthwise_quads.ROWS]] % phases.size, sources, places, width)


class _Runs(NamedTuple):
    """The runs of a layer, a tile of them after the other.

    phases : the first channel of every block of weights; blocks : the block of every tile
    sources, places : the first byte of every run in the image and in the output; width : values of a run
    """

    phases: NDArray[np.int64]
    blocks: NDArray[np.int64]
    sources: NDArray[np.int64]
    places: NDArray[np.int64]
    width: int


def _by_lanes(taps: NDArray[np.int8], lanes: NDArray[np.int64]) -> NDArray[np.int8]:
    """Weights (taps, channels) as (block, quad of taps, lane, tap) for the channel of every lane of every block."""
    filled = np.concatenate([taps, np.zeros((-len(taps) % 4, taps.shape[1]), np.int8)])
    chosen = filled[:, lanes].reshape(-1, 4, lanes.size // WIDTH, WIDTH)
    return np.ascontiguousarray(chosen.transpose(2, 0, 3, 1))


def _tiled(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """The order that fills tiles from one group each; a last tile that is not full repeats its last run."""
    order = np.argsort(groups, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(groups[order])) + 1, order.size)
    parts, start = [], 0
    for end in ends:
        part = order[start:end]
        parts += [part, np.repeat(part[-1:], -part.size % vector_depthwise_quads.ROWS)]
        start = end
    return np.concatenate(parts)
