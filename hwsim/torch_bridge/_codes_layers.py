"""Torch's quantized layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from hwsim.graph import Affine
from hwsim.torch_bridge._aten_windows import padded
from hwsim.torch_bridge._codes import CodeImporter, on_codes, weight_codes
from hwsim.torch_bridge._importer import Array, channels_last, pair, reshaped


@dataclass(frozen=True, slots=True)
class Window:
    """How a convolution moves."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: int


@on_codes("quantized.conv2d.new", "quantized.conv2d_relu.new")
def _conv2d(to: CodeImporter, node: fx.Node) -> None:
    packed: Any = node.args[1]
    weights, bias = packed.unpack()
    stride, padding, dilation = (pair(list(part)) for part in (packed.stride(), packed.padding(), packed.dilation()))
    window = Window(stride, padding, dilation, packed.groups())
    to.values[node] = convolve(to, node, weights, bias, window, node.name, activation=activation(node))


def convolve(
    to: CodeImporter, node: fx.Node, weights: torch.Tensor, bias: torch.Tensor | None, w: Window, name: str, **more: Any
) -> int:
    """The tensor `name` that a convolution of codes gives."""
    source = to.value(node.args[0])
    channels = to.builder.shape(source)[3]
    size = [(taps - 1) * step + 1 for taps, step in zip(weights.shape[2:], w.dilation, strict=True)]
    source, padding = padded(to, node, source, size, w.stride, w.padding)
    depthwise = w.groups == channels and w.groups > 1
    codes, form = weight_codes(weights, (1, 2, 3, 0) if depthwise else (0, 2, 3, 1))
    if depthwise:
        more["multiplier"] = len(weights) // w.groups
    return to.builder.node(
        "depthwise_conv2d" if depthwise else "conv2d", (source, *constants(to, node, codes, form, bias)),
        channels_last(node.meta["val"].shape), name, padding=padding, stride_h=w.stride[0], stride_w=w.stride[1],
        dilation_h=w.dilation[0], dilation_w=w.dilation[1], **more,
    )  # fmt: skip


@on_codes("quantized.linear.default", "quantized.linear_relu.default")
def _linear(to: CodeImporter, node: fx.Node) -> None:
    packed: Any = node.args[1]
    weights, bias = packed.unpack()
    linear(to, node, weights, bias, activation(node))


def linear(to: CodeImporter, node: fx.Node, weights: torch.Tensor, bias: torch.Tensor | None, activation: str) -> None:
    """A linear layer of codes, its bias float32."""
    codes, form = weight_codes(weights, (0, 1))
    source, shape = to.value(node.args[0]), node.meta["val"].shape
    if len(shape) == 4:
        raise to.refuse(node, "a linear layer of four dimensions; flatten before it")
    inputs = constants(to, node, codes, form, bias)
    if len(shape) == 2:
        to.add(node, "fully_connected", (source, *inputs), activation=activation)
        return
    rows = reshaped(to, source, (-1 if not shape else int(np.prod(shape[:-1])), codes.shape[1]), f"{node.name}_rows")
    flat = to.builder.node(
        "fully_connected", (rows, *inputs), (to.builder.shape(rows)[0], len(codes)), f"{node.name}_flat",
        activation=activation,
    )  # fmt: skip
    value = node.meta["val"]
    to.builder.set_codes(flat, "uint8", Affine.per_tensor(value.q_scale(), value.q_zero_point()))
    to.values[node] = reshaped(to, flat, channels_last(shape), node.name)


def constants(to: CodeImporter, node: fx.Node, codes: Array, form: Affine, bias: torch.Tensor | None) -> Sequence[int]:
    """A layer's weights and bias; -1 where it has none."""
    weights = to.builder.constant(f"{node.name}_weight", codes)
    to.builder.set_format(weights, form)
    if bias is None:
        return weights, -1
    return weights, to.builder.constant(f"{node.name}_bias", bias.detach().numpy().astype(np.float32))


def activation(node: fx.Node) -> str:
    """What torch fused into an operator, by its name."""
    return "relu" if "_relu" in str(node.target) else "none"
