"""Operators on float32: what a trained network computes before it is quantized.

Sums are taken in an order of their own, which is no engine's, so that `verify` compares with the engine's tolerance.
They do not depend on how many samples run together.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.conv2d import Window
from hwsim.kernels.float_matmul import accumulate_float
from hwsim.ops._base import Arrays, RuleFor, Step, merge_batch
from hwsim.ops._elementwise import sample_rows
from hwsim.ops._window import window

Reals = NDArray[np.float32]

FLOAT = Rule("float")
FLOATS = {"float32": FLOAT}
"""The rule set of an operator that computes on float32."""

WHOLE = Rule("whole_numbers")
NUMBERS = (FLOAT, WHOLE)
"""Rules for numbers that stand for themselves, float32 or int32 and int64."""

_ACTIVATIONS = {"none": None, "relu": (0.0, np.inf), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}


def numbers(*dtypes: str) -> dict[str, RuleFor]:
    """Rules for plain numbers, on which all engines do the same operations in the same order."""
    return {dtype: FLOAT if dtype == "float32" else WHOLE for dtype in dtypes}


def own_order(view: NodeView) -> Rule:
    """UnsupportedError for an engine that adds float32 in vectors."""
    raise UnsupportedError(f"{view.label}: the engine adds float32 in an order of its own, which hwsim does not follow")


def own_root(view: NodeView) -> Rule:
    """UnsupportedError for an engine that takes roots from the processor's approximation."""
    raise UnsupportedError(f"{view.label}: the engine starts from an approximation that differs between processors")


def pointwise(function: Callable[[Reals], Any]) -> Step:
    """An operator that is `function` of one tensor."""

    def step(inputs: Arrays, outputs: Arrays) -> None:
        outputs[0][...] = function(inputs[0])

    return step


def binary(view: NodeView, function: Callable[..., Any]) -> Step:
    """An operator that is `function` of two tensors, broadcast against each other, and its activation.

    function : (first, second, out=...), a ufunc or what is called as one
    """
    shape, limit = view.output().shape, activation(view)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        out = outputs[0].reshape(outputs[0].shape[0], -1)
        function(sample_rows(inputs[0], shape), sample_rows(inputs[1], shape), out=out)
        limit(out)

    return step


def fully_connected(view: NodeView) -> Step:
    """Rows times the transposed weights."""
    out_channels, depth = view.input(1).shape
    weights, bias, limit = np.ascontiguousarray(_weights(view).T), float_bias(view, out_channels), activation(view)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        out = outputs[0].reshape(-1, out_channels)
        accumulate_float(inputs[0].reshape(-1, depth), weights, bias, out)
        limit(out)

    return step


def conv2d(view: NodeView) -> Step:
    """Patches (im2col) times the filters of each group."""
    out_channels, height, width, depth = view.input(1).shape
    groups = view.input(0).shape[3] // depth
    filters = np.ascontiguousarray(_weights(view).reshape(groups, out_channels // groups, -1).transpose(0, 2, 1))
    bias, limit = float_bias(view, out_channels).reshape(groups, -1), activation(view)
    place = window(view, height, width)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        images, out = merge_batch(inputs[0]), merge_batch(outputs[0])
        patches = np.empty((groups, *out.shape[:3], height * width, depth), np.float32)
        for tap, part in enumerate(taps(images, place, 0.0)):
            patches[..., tap, :] = np.moveaxis(part.reshape(*part.shape[:3], groups, depth), 3, 0)
        rows, sums = patches.reshape(groups, -1, height * width * depth), out.reshape(-1, groups, bias.shape[1])
        for group in range(groups):
            accumulate_float(rows[group], filters[group], bias[group], sums[:, group])
        limit(out)

    return step


def depthwise_conv2d(view: NodeView) -> Step:
    """Every channel with its own filters, tap by tap."""
    _, height, width, out_channels = view.input(1).shape
    multiplier = out_channels // view.input(0).shape[3]
    filters = _weights(view).reshape(height * width, out_channels)
    bias, limit = float_bias(view, out_channels), activation(view)
    place = window(view, height, width)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        images, out = merge_batch(inputs[0]), merge_batch(outputs[0])
        out[...] = bias
        for tap, part in zip(filters, taps(images, place, 0.0), strict=True):
            out += tap * (part if multiplier == 1 else np.repeat(part, multiplier, axis=3))
        limit(out)

    return step


def average_pool_2d(view: NodeView) -> Step:
    """The mean of the taps inside the image."""
    place = _pool_window(view)
    _, height, width, _ = view.input(0).shape
    inside = np.ones((1, height, width, 1), np.float32)
    count = np.sum(list(taps(inside, place, 0.0)), axis=0)
    limit = activation(view)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        out = merge_batch(outputs[0])
        out[...] = 0.0
        for part in taps(merge_batch(inputs[0]), place, 0.0):
            out += part
        out /= count
        limit(out)

    return step


def max_pool_2d(view: NodeView) -> Step:
    """The largest of the taps inside the image."""
    place = _pool_window(view)
    limit = activation(view)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        out = merge_batch(outputs[0])
        out[...] = -np.inf
        for part in taps(merge_batch(inputs[0]), place, -np.inf):
            np.maximum(out, part, out=out)
        limit(out)

    return step


def softmax(view: NodeView) -> Step:
    """exp(beta * (x - largest)) / sum over the last axis."""
    beta = np.float32(view.attributes.get("beta", 1.0))  # type: ignore[arg-type]

    def step(inputs: Arrays, outputs: Arrays) -> None:
        values = inputs[0]
        exponentials = np.exp((values - values.max(axis=-1, keepdims=True)) * beta)
        np.divide(exponentials, exponentials.sum(axis=-1, keepdims=True), out=outputs[0])

    return step


def resize_bilinear(rows: Arrays, columns: Arrays) -> Step:
    """Linear interpolation. rows, columns : for each output index the lower and upper input index, and the fraction."""
    (top, bottom), down = rows[0].T, rows[1][:, None, None]
    (left, right), across = columns[0].T, columns[1][:, None]

    def step(inputs: Arrays, outputs: Arrays) -> None:
        images, out = merge_batch(inputs[0]), merge_batch(outputs[0])
        one = np.float32(1.0)
        lines = images[:, top] * (one - down) + images[:, bottom] * down
        out[...] = lines[:, :, left] * (one - across) + lines[:, :, right] * across

    return step


def taps(images: NDArray[Any], place: tuple[Window, int, int], fill: float) -> Iterator[NDArray[Any]]:
    """For each tap of the filter what lies under it: (batch, out_height, out_width, channels); outside it is `fill`."""
    (frame, out_height, out_width), (_, height, width, _) = place, images.shape
    spans = (
        (out_height - 1) * frame.stride_height + (frame.filter_height - 1) * frame.dilation_height + 1,
        (out_width - 1) * frame.stride_width + (frame.filter_width - 1) * frame.dilation_width + 1,
    )
    below, beside = spans[0] - frame.pad_top - height, spans[1] - frame.pad_left - width
    pads = (0, 0), (frame.pad_top, max(below, 0)), (frame.pad_left, max(beside, 0)), (0, 0)
    padded = np.pad(images, pads, constant_values=fill) if any(map(any, pads)) else images
    for ky in range(frame.filter_height):
        y = ky * frame.dilation_height
        rows = slice(y, y + (out_height - 1) * frame.stride_height + 1, frame.stride_height)
        for kx in range(frame.filter_width):
            x = kx * frame.dilation_width
            yield padded[:, rows, slice(x, x + (out_width - 1) * frame.stride_width + 1, frame.stride_width)]


def _pool_window(view: NodeView) -> tuple[Window, int, int]:
    return window(view, view.integer("filter_h"), view.integer("filter_w"))


def activation(view: NodeView) -> Callable[[Reals], None]:
    """What limits an array in place to the node's fused activation."""
    name = view.text("activation", "none")
    if name not in _ACTIVATIONS:
        raise UnsupportedError(f"{view.label}: activation is {name!r}; expected one of {', '.join(_ACTIVATIONS)}")
    ends = _ACTIVATIONS[name]

    def limit(values: NDArray[Any]) -> None:
        if ends is not None:
            low, high = ends
            np.clip(values, values.dtype.type(low), None if high == np.inf else values.dtype.type(high), out=values)

    return limit


def _weights(view: NodeView) -> Reals:
    weights: Reals = view.constant(1)
    if weights.dtype != np.float32:
        raise UnsupportedError(
            f"{view.label}: weights are {weights.dtype} and activations float32 (a hybrid, or dynamic-range, layer): "
            "LiteRT's engines run it; or convert the model to float32, or to full integers"
        )
    return weights


def float_bias(view: NodeView, channels: int) -> Reals:
    """The float32 bias of a layer, zeros where it has none."""
    if view.optional(2) is None:
        return np.zeros(channels, np.float32)
    bias: Reals = view.constant(2).reshape(-1)
    if bias.dtype != np.float32 or bias.size != channels:
        raise ShapeError(f"{view.label}: bias is {bias.dtype} of {bias.size}; expected float32 of {channels}")
    return bias
