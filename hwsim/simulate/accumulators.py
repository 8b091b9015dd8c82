"""The sums of every layer: what its weights guarantee (`sum_bounds`), and what inputs made of it.

What a layer multiplies is laid out as rows and weights, whose sums `kernels.sum_ranges` follows one by one.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Engine
from hwsim.engines import engine as engine_called
from hwsim.errors import InputError
from hwsim.graph import Graph, Levels, NodeView
from hwsim.kernels.conv2d import Window
from hwsim.kernels.sum_ranges import widen_pair_ranges, widen_sum_ranges
from hwsim.ops._accumulating import REDUCED_INT64, bias_or_zeros
from hwsim.ops._base import merge_batch
from hwsim.ops._tables import read_levels
from hwsim.ops._window import window
from hwsim.ops.transpose_conv import transposed_window
from hwsim.simulate.inputs import Inputs, SampleBatch
from hwsim.simulate.program import Program, compile, value_of
from hwsim.simulate.sum_bounds import (
    Accumulator,
    Range,
    activations,
    by_channel,
    guaranteed,
    lift,
    of_activations,
)

Array = NDArray[Any]
Block = tuple[Array, slice]
"""Rows as `kernels.sum_ranges` takes them, and the output channels that sum over them."""

CHUNK = 32
BAND_VALUES = 1 << 24
INT32_BITS = 31


def accumulators(
    graph: Graph,
    x: Inputs | None = None,
    engine: str | Engine | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> list[Accumulator]:
    """How wide the sum of every layer with constant weights can get, in order, and with `x` how wide it got.

    Parameters
    ----------
    x : as for `hwsim.simulate`; each sample starts from reset state. None for what the weights guarantee alone
    engine : whose codes the layers read and in what width it sums them; needed with `x`
    progress : called with the number of samples done, again and again

    Raises
    ------
    InputError : where `x` comes without an engine
    """
    profile = None if engine is None else engine_called(engine)
    if x is None:
        return guaranteed(graph, profile)
    if profile is None:
        raise InputError("engine is missing; the sums of given inputs depend on whose codes the layers read")
    program, batch = compile(graph, profile), SampleBatch.of(graph, x)
    sums = SeenSums(program)
    for start in range(0, batch.samples, CHUNK):
        part = slice(start, min(start + CHUNK, batch.samples))
        sums.add(program.run_samples(batch.arrays(part), part.stop - start, keep_tensors=True), part.stop - start)
        if progress is not None:
            progress(part.stop - start)
    return sums.found()


class SeenSums:
    """Ranges of the sums of a program's layers, widened by one batch of samples after the other."""

    def __init__(self, program: Program) -> None:
        self._graph = program.graph
        self._known = guaranteed(program.graph, program.engine)
        views = [NodeView(program.graph, program.graph.nodes[one.index]) for one in self._known]
        self._layers = {
            one.index: _Layer(view, one)
            for view, one in zip(views, self._known, strict=True)
            if not of_activations(view)
        }

    def add(self, values: Mapping[int, Array], samples: int) -> None:
        """Widen by the samples whose tensors are `values`, as `Program.run_samples` keeps them."""
        for layer in self._layers.values():
            layer.add(value_of(self._graph, layer.source, values, samples))

    def found(self) -> list[Accumulator]:
        """The layers' sums, with what was seen."""
        return [self._layers[one.index].found() if one.index in self._layers else one for one in self._known]


class _Layer:
    """One layer: its weights once, and the ranges so far."""

    def __init__(self, view: NodeView, known: Accumulator) -> None:
        self._view, self._known, self._data = view, known, activations(view)
        self.source = next(i for i in view.node.inputs if i >= 0 and view.graph.tensors[i] is self._data)
        self._weights = np.ascontiguousarray(by_channel(view))
        channels = self._weights.shape[1]
        dtype = np.int32 if known.bits <= INT32_BITS else np.int64
        self._bias = bias_or_zeros(view, channels, REDUCED_INT64).astype(dtype)
        ends = np.array([[np.iinfo(dtype).max], [np.iinfo(dtype).min]], dtype)
        self._total = np.repeat(ends, channels, axis=1)
        self._running = np.stack([self._bias, self._bias])
        self._pairs = np.zeros((2, channels), np.int64)

    def add(self, codes: Array) -> None:
        """Widen by codes (samples, *shape)."""
        for rows, channels in _blocks(self._view, self._centered(codes)):
            values, weights = np.ascontiguousarray(rows), np.ascontiguousarray(self._weights[:, channels])
            ranges = [np.ascontiguousarray(kept[:, channels]) for kept in (self._total, self._running, self._pairs)]
            widen_sum_ranges(values, weights, self._bias[channels], *ranges[:2])
            if self._known.pairs is not None:
                widen_pair_ranges(values + np.int16(lift(self._data)), weights, ranges[2])
            for kept, widened in zip((self._total, self._running, self._pairs), ranges, strict=True):
                kept[:, channels] = widened

    def found(self) -> Accumulator:
        total, running, pairs = (Range(*kept.astype(np.int64)) for kept in (self._total, self._running, self._pairs))
        seen = pairs if self._known.pairs is not None else None
        return replace(self._known, total=total, running=running, pairs_seen=seen)

    def _centered(self, codes: Array) -> Array:
        if isinstance(self._data.format, Levels):
            levels: Array = read_levels(self._data).astype(np.int16)
            return levels[np.minimum(codes, levels.size - 1)]
        return codes.astype(np.int16) - np.int16(self._data.zero_point)


def _blocks(view: NodeView, values: Array) -> Iterator[Block]:
    """What the layer multiplies with its weights, taps in their order.

    values : (samples, *shape), without zero point
    """
    weights, size = view.input(1).shape, values.shape[-3:-1]
    if view.node.op == "fully_connected":
        yield values.reshape(-1, weights[1], 1), slice(None)
    elif view.node.op == "batch_matmul":
        yield from _matrices(view, values)
    elif view.node.op == "transpose_conv":
        out = view.output().shape
        for patches in _patches(merge_batch(values), _undone(out[1:3], transposed_window(view, out), size)):
            yield patches.reshape(len(patches), -1, 1), slice(None)
    else:
        frame, *out_size = window(view, *weights[1:3])
        for patches in _patches(merge_batch(values), _read(out_size, frame, size)):
            if view.node.op == "depthwise_conv2d":
                yield np.repeat(patches, weights[3] // patches.shape[2], axis=2), slice(None)
            else:
                yield from _grouped(patches, weights[3], weights[0])


def _grouped(patches: Array, group_in: int, channels: int) -> Iterator[Block]:
    """Patches (positions, taps, channels) in groups of `group_in` input channels."""
    groups = patches.shape[2] // group_in
    for group, part in enumerate(np.split(patches, groups, axis=2)):
        step = channels // groups
        yield part.reshape(len(part), -1, 1), slice(group * step, (group + 1) * step)


def _read(out_size: list[int], frame: Window, size: tuple[int, ...]) -> list[Array]:
    """For each axis the input place under every tap of every output place, (places, taps); -1 outside the image."""
    axes = [(frame.stride_height, frame.pad_top, frame.filter_height, frame.dilation_height)]
    axes += [(frame.stride_width, frame.pad_left, frame.filter_width, frame.dilation_width)]
    found = []
    for (stride, pad, taps, dilation), out, limit in zip(axes, out_size, size, strict=True):
        at = np.arange(out)[:, None] * stride - pad + np.arange(taps) * dilation
        found.append(np.where((at >= 0) & (at < limit), at, -1))
    return found


def _undone(out_size: tuple[int, ...], frame: Window, size: tuple[int, ...]) -> list[Array]:
    """As `_read`, of a transposed convolution: the input place that each tap brings to an output place."""
    axes = [(frame.stride_height, frame.pad_top, frame.filter_height)]
    axes += [(frame.stride_width, frame.pad_left, frame.filter_width)]
    found = []
    for (stride, pad, taps), out, limit in zip(axes, out_size, size, strict=True):
        at = np.arange(out)[:, None] + pad - np.arange(taps)
        found.append(np.where((at >= 0) & (at % stride == 0) & (at // stride < limit), at // stride, -1))
    return found


def _patches(images: Array, places: list[Array]) -> Iterator[Array]:
    """Patches (positions, taps, channels) of some rows of the output at a time, 0 outside the image."""
    down, across = places
    band = max(1, BAND_VALUES // max(down.shape[1] * across.size * images.shape[3], 1))
    for image in images:
        for start in range(0, len(down), band):
            rows = down[start : start + band]
            patches = image[rows][:, :, across] * ((rows >= 0)[:, :, None, None] & (across >= 0))[..., None]
            yield patches.transpose(0, 2, 1, 3, 4).reshape(-1, rows.shape[1] * across.shape[1], images.shape[3])


def _matrices(view: NodeView, values: Array) -> Iterator[Block]:
    """Rows of the first matrices, each with the columns of the constant one that it meets."""
    turned = values.swapaxes(-1, -2) if view.attributes.get("adj_x") else values
    shape, leading, columns = view.input(1).shape, view.output().shape[:-2], view.output().shape[-1]
    count = int(np.prod(shape[:-2]))
    second = np.broadcast_to(np.arange(count).reshape(shape[:-2]), leading)
    first = turned.reshape(turned.shape[0], *(1,) * (len(leading) + 3 - turned.ndim), *turned.shape[1:])
    first = np.broadcast_to(first, (turned.shape[0], *leading, *turned.shape[-2:]))
    for place in np.ndindex(*leading):
        start = int(second[place]) * columns
        yield first[(slice(None), *place)].reshape(-1, turned.shape[-1], 1), slice(start, start + columns)
