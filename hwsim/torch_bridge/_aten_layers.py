"""Torch's layers with weights: convolutions, linear layers, normalizations, matrix products."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import fx

from hwsim.torch_bridge._aten_windows import padded
from hwsim.torch_bridge._importer import (
    LAYERS,
    MARK,
    Array,
    Importer,
    Layer,
    argument,
    channels_last,
    handles,
    image_row,
    pair,
    reshaped,
    row_image,
    turned,
    unturned,
)  # fmt: skip


@handles("aten.conv2d.default", "aten.conv2d.padding")
def _conv2d(to: Importer, node: fx.Node) -> None:
    weights = to.array(node.args[1])
    assert weights is not None
    to.values[node] = convolved(to, node, to.value(node.args[0]), weights, node.args[3:6])


@handles("aten.conv1d.default", "aten.conv1d.padding")
def _conv1d(to: Importer, node: fx.Node) -> None:
    """A convolution of images of one row."""
    weights = to.array(node.args[1])
    assert weights is not None
    usual = (1, 0, 1)
    given = [argument(node, position, neutral) for position, neutral in zip((3, 4, 5), usual, strict=True)]
    moving = [v if isinstance(v, str) else (neutral, pair(v)[1]) for v, neutral in zip(given, usual, strict=True)]
    image = convolved(to, node, row_image(to, to.value(node.args[0]), node.name), weights[:, :, None], moving)
    layer = len(to.builder.nodes) - 1
    to.values[node] = image_row(to, image, node.name)
    to.behind[to.values[node]] = layer


def convolved(to: Importer, node: fx.Node, source: int, weights: Array, moving: Sequence[Any]) -> int:
    """The convolution of an image; `moving` are stride, padding and dilation, as far as they are given."""
    given = [*moving, *(1, 0, 1)[len(moving) :]]
    stride, dilation = pair(given[0]), pair(given[2])
    bias, groups = to.array(argument(node, 2)), int(argument(node, 6, 1))
    channels = to.builder.shape(source)[3]
    window = [(size - 1) * step + 1 for size, step in zip(weights.shape[2:], dilation, strict=True)]
    source, padding = padded(to, node, source, window, stride, given[1])
    batch, *image, _ = to.builder.shape(source)
    ways = zip(image, window, stride, strict=True)
    shape = [-(-size // step) if padding == "same" else (size - reach) // step + 1 for size, reach, step in ways]
    depthwise = groups == channels and groups > 1
    turn = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
    more = {"multiplier": len(weights) // groups} if depthwise else {}
    inputs = (source, *constants(to, node, weights.transpose(turn), bias, len(weights)))
    found = to.builder.node(
        "depthwise_conv2d" if depthwise else "conv2d", inputs, (batch, *shape, len(weights)), node.name,
        padding=padding, stride_h=stride[0], stride_w=stride[1], dilation_h=dilation[0], dilation_w=dilation[1],
        activation="none", **more,
    )  # fmt: skip
    remember(to, node, turn)
    return found


def constants(to: Importer, node: fx.Node, weights: Array, bias: Array | None, channels: int) -> tuple[int, int]:
    """A layer's weights and its bias, zeros where it has none."""
    values = np.zeros(channels, np.float32) if bias is None else bias
    index = to.builder.constant(f"{node.name}_weight", weights)
    source = node.args[1]
    assert isinstance(source, fx.Node)
    to.sources[index] = source
    return index, to.builder.constant(f"{node.name}_bias", values)


def remember(to: Importer, node: fx.Node, turn: tuple[int, ...]) -> None:
    """That the last node's weights came from a quantizer, where they did."""
    source = node.args[1]
    if isinstance(source, fx.Node) and source.name in to.quantized:
        quantizer, weights = to.quantized[source.name]
        factor = np.ones(len(weights), np.float64)
        to.layers[len(to.builder.nodes) - 1] = Layer(quantizer, weights, turn, factor)


@handles(MARK)
def _mark(to: Importer, node: fx.Node) -> None:
    """A quantizer of weights gives other constants; one of activations becomes a node of its own."""
    source, quantizer = node.args[0], to.quantizer_of(node)
    assert isinstance(source, fx.Node)
    if to.is_constant(source):
        weights = to.stored[source.name]
        with torch.no_grad():
            to.stored[node.name] = quantizer.quantize(torch.from_numpy(weights)).numpy()
        to.quantized[node.name] = (quantizer, weights)
    else:
        to.add(node, "quantize", (to.value(source),))
        to.marks[to.values[node]] = quantizer


@handles("aten.linear.default")
def _linear(to: Importer, node: fx.Node) -> None:
    weights, bias = to.array(node.args[1]), to.array(argument(node, 2))
    assert weights is not None
    source = unturned(to, to.value(node.args[0]), node.name)
    *outer, depth = to.builder.shape(source)
    source = reshaped(to, source, (prod(outer), depth), f"{node.name}_rows")
    inputs = (source, *constants(to, node, weights, bias, len(weights)))
    name = node.name if len(outer) == 1 else f"{node.name}_flat"
    rows = to.builder.node("fully_connected", inputs, (prod(outer), len(weights)), name, activation="none")
    remember(to, node, (0, 1))
    first = reshaped(to, rows, (*outer, len(weights)), f"{node.name}_first" if len(outer) == 3 else node.name)
    to.values[node] = turned(to, first, node.name)


@handles("aten.batch_norm.default")
def _batch_norm(to: Importer, node: fx.Node) -> None:
    gamma, beta, mean, variance = (to.array(node.args[i]) for i in range(1, 5))
    assert mean is not None and variance is not None
    root = np.sqrt(variance.astype(np.float64) + float(argument(node, 7, 1e-5)))
    factor = (1.0 if gamma is None else gamma) / root
    offset = (0.0 if beta is None else beta) - mean * factor
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if fold(to, source, node, factor, offset):
        return
    shape = channels_last(node.meta["val"].shape)
    along = (-1, 1) if len(shape) == 3 else (-1,)
    by = to.builder.constant(f"{node.name}_factor", factor.astype(np.float32).reshape(along))
    plus = to.builder.constant(f"{node.name}_offset", offset.astype(np.float32).reshape(along))
    scaled = to.builder.node("mul", (to.value(source), by), shape, f"{node.name}_scaled", activation="none")
    to.add(node, "add", (scaled, plus), activation="none")


def fold(to: Importer, source: fx.Node, node: fx.Node, factor: Array, offset: Array) -> bool:
    """Whether the layer that computed `source` took in a factor and an offset per channel."""
    place = to.layer_of(to.value(source))
    if place is None or not to.only_reader(source, node):
        return False
    last = to.builder.nodes[place]
    if last.op not in LAYERS:
        return False
    weights, bias = (to.builder.tensors[i] for i in last.inputs[1:3])
    assert weights.data is not None and bias.data is not None
    axis = 3 if last.op == "depthwise_conv2d" else 0
    along = [-1 if i == axis else 1 for i in range(weights.data.ndim)]
    to.builder.replace_data(last.inputs[1], weights.data * factor.reshape(along))
    to.builder.replace_data(last.inputs[2], bias.data * factor + offset)
    to.values[node] = to.values[source]
    if place in to.layers:
        to.layers[place].factor = to.layers[place].factor * factor
    return True


@handles("aten.layer_norm.default")
def _layer_norm(to: Importer, node: fx.Node) -> None:
    if len(node.args[1]) != 1:  # type: ignore[arg-type]
        raise to.refuse(node, "layer_norm over more than the last axis; hwsim takes that one only")
    source = unturned(to, to.value(node.args[0]), node.name)
    shape = to.builder.shape(source)
    found = [to.array(argument(node, position)) for position in (2, 3)]
    usual = np.ones(shape[-1], np.float32), np.zeros(shape[-1], np.float32)
    gamma, beta = (
        to.builder.constant(f"{node.name}_{name}", other if values is None else values)
        for name, values, other in zip(("gamma", "beta"), found, usual, strict=True)
    )
    epsilon = float(argument(node, 4, 1e-5))
    result = to.builder.node("layer_norm", (source, gamma, beta), shape, node.name, epsilon=epsilon)
    to.values[node] = turned(to, result, node.name)


@handles("aten.matmul.default", "aten.bmm.default", "aten.mm.default")
def _matmul(to: Importer, node: fx.Node) -> None:
    first, second = (unturned(to, to.value(part), node.name) for part in node.args)
    product = to.builder.node(
        "batch_matmul", (first, second), node.meta["val"].shape, node.name, adj_x=False, adj_y=False
    )
    to.values[node] = turned(to, product, node.name)
