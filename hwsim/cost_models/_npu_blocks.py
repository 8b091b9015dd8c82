"""The block of outputs that a neural processor computes at a time: the cheapest that fits its buffer.

The search is that of Arm's compiler Vela 5.2.0 (architecture_allocator.py): over all heights, widths and depths, the
block with the fewest bytes of inputs and weights fetched per output, halved where the whole input fits both halves of
the buffer. Inputs and accumulators are double buffered in banks; inputs come in slices of 32 channels, or of 16 where
the kernel's taps fill the multipliers better than channels do.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hwsim.targets.npu import Npu

SPLIT_DEPTH = 16
KERNEL_LIMIT = 8
BANK_BYTES = 1024
OUTPUT_BANKS = 2
Grid = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Layer:
    """What the search looks at; sizes are (height, width, channels)."""

    kind: str
    input_size: tuple[int, int, int]
    output_size: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]

    @property
    def keeps_depth(self) -> bool:
        """Whether output channels see only their own input channel."""
        return self.kind in ("depthwise", "pooling", "elementwise")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of outputs and the inputs it needs; `by_taps` where taps, not channels, fill the multipliers."""

    outputs: tuple[int, int, int]
    inputs: tuple[int, int, int]
    by_taps: bool


def round_up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-value // step) * step


@lru_cache(maxsize=4096)
def best_block(npu: Npu, layer: Layer) -> Block:
    """The block for `layer`; the smallest one where none fits."""
    by_taps = layer.kind in ("conv", "depthwise") and _taps_fill_better(layer)
    slice_depth = round_up(min(layer.input_size[2], 16 if by_taps else 32), 8)
    heights, widths, depths = _candidates(npu, layer)
    d, h, w = (grid.ravel() for grid in np.meshgrid(depths, heights, widths, indexing="ij"))
    ih, iw = _needed(h, w, npu, layer)
    inner = d if layer.keeps_depth else np.full_like(d, slice_depth)
    fits = _banks(npu, layer, ih * iw, inner, h, w, d) <= npu.buffer_banks
    if not fits.any():
        fits[0] = True
    cost = np.where(fits, _fetched(layer, h, w, d, ih * iw, ih * iw * inner), np.inf)
    at = _first_best(cost, layer, h, w, ih, iw)
    return Block((int(h[at]), int(w[at]), int(d[at])), (int(ih[at]), int(iw[at]), int(inner[at])), by_taps)


def _taps_fill_better(layer: Layer) -> bool:
    channels, taps = layer.input_size[2], layer.kernel[0] * layer.kernel[1]
    if channels <= 8:
        return True
    return channels * taps / (round_up(channels, 8) * round_up(taps, 4)) > channels / round_up(channels, 32)


def _candidates(npu: Npu, layer: Layer) -> tuple[list[int], list[int], list[int]]:
    units = (npu.unit_height, npu.unit_width, npu.unit_depth)
    limits = (npu.max_height, npu.max_width, npu.max_depth)
    height, width, depth = (
        round_up(min(size, limit), unit) for size, limit, unit in zip(layer.output_size, limits, units, strict=True)
    )
    full = layer.output_size[2]
    d, depths = max(npu.unit_depth, min(depth, SPLIT_DEPTH)), []
    d = round_up(d, SPLIT_DEPTH) if d < full else d
    while d <= depth:
        depths.append(d)
        d += npu.unit_depth
        d = round_up(d, SPLIT_DEPTH) if d < full else d
    rows, columns = range(units[0], height + 1, units[0]), range(units[1], width + 1, units[1])
    return list(rows), list(columns), depths or [depth]


def _needed(h: Grid, w: Grid, npu: Npu, layer: Layer) -> tuple[Grid, Grid]:
    """Rows and columns of inputs under a block, to whole units."""
    down, across = (min(tap, KERNEL_LIMIT) for tap in layer.kernel)
    ih, iw = (h - 1) * layer.stride[0] + down, (w - 1) * layer.stride[1] + across
    return -(-ih // npu.unit_height) * npu.unit_height, -(-iw // npu.unit_width) * npu.unit_width


def _banks(npu: Npu, layer: Layer, area: Grid, inner: Grid, h: Grid, w: Grid, d: Grid) -> Grid:
    """Banks for inputs, accumulators of 32 bits (of elementwise operators: second inputs) and outputs."""
    if layer.output_size[0] == 1 and layer.kernel[0] == 1 and npu.unit_height == 2:
        h = np.minimum(h, 1)
    inputs = _doubled(area * (-(-inner // 8) * 8))
    if layer.kind == "elementwise":
        return OUTPUT_BANKS + 2 * _whole(inputs, npu.elementwise_granule)
    accumulators = _doubled(h * w * (-(-d // 8) * 8) * 4)
    return OUTPUT_BANKS + _whole(inputs, npu.input_granule) + _whole(accumulators, npu.accumulator_granule)


def _doubled(size_bytes: Grid) -> Grid:
    return -(-size_bytes // BANK_BYTES) * 2


def _whole(banks: Grid, granule: int) -> Grid:
    return -(-banks // granule) * granule


def _fetched(layer: Layer, h: Grid, w: Grid, d: Grid, area: Grid, held: Grid) -> NDArray[np.float64]:
    """Bytes fetched per output."""
    height, width, depth = layer.output_size
    channels = layer.input_size[2]
    if layer.kind == "elementwise":
        return np.maximum(height * width * depth / (h * w * d), 1.0)
    whole = -(-height // h) * -(-width // w)
    taps = layer.kernel[0] * layer.kernel[1] if layer.kind in ("conv", "depthwise") else 0
    weights = taps * channels * whole * (1.0 if layer.kind == "depthwise" else depth)
    parts = -(-layer.kernel[0] // KERNEL_LIMIT) * -(-layer.kernel[1] // KERNEL_LIMIT)
    inputs = area * channels * parts * (height / h) * (width / w)
    if not layer.keeps_depth:
        inputs = inputs * -(-depth // d)
    cost = np.asarray((inputs + weights) / (height * width * depth), float)
    all_inputs = layer.input_size[0] * layer.input_size[1] * channels
    return np.where(all_inputs < 2 * held, cost / 2, cost)


def _first_best(cost: NDArray[np.float64], layer: Layer, h: Grid, w: Grid, ih: Grid, iw: Grid) -> int:
    """The first of the cheapest; among equals, one of at most 4 by 4 that covers most of the input."""
    ties = np.flatnonzero(cost == cost.min())
    small = ties[1:][(h[ties[1:]] <= 4) & (w[ties[1:]] <= 4)]
    if not small.size:
        return int(ties[0])
    covered = np.minimum(ih[small], layer.input_size[0]) * np.minimum(iw[small], layer.input_size[1])
    return int(small[np.flatnonzero(covered == covered.max())[-1]])
