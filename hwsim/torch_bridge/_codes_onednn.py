"""The operators that torchao's pt2e modules have after `lower_pt2e_quantized_to_x86`: oneDNN's, on plain integers.

A layer whose result stays real is its exact sums, then its scales, its bias and what follows, one float32 operator
each: that is the order in which oneDNN computes.
"""

from typing import Any

import numpy as np
import torch
from torch import fx

from hwsim.graph import Affine
from hwsim.torch_bridge._codes import CodeImporter, on_codes, weight_codes
from hwsim.torch_bridge._codes_layers import Window, constants, convolve
from hwsim.torch_bridge._importer import argument, channels_last, pair

ACTIVATIONS = ("none", "relu")


@on_codes("quantized_decomposed.quantize_per_tensor.default")
def _quantize(to: CodeImporter, node: fx.Node) -> None:
    scale, zero_point = node.args[1:3]
    to.add(node, "quantize", (to.value(node.args[0]),))
    _check_range(to, node)
    to.say(node, Affine.per_tensor(float(scale), int(zero_point)))  # type: ignore[arg-type]


@on_codes("quantized_decomposed.dequantize_per_tensor.default")
def _dequantize(to: CodeImporter, node: fx.Node) -> None:
    _check_range(to, node)
    to.add(node, "dequantize", (to.value(node.args[0]),))


def _check_range(to: CodeImporter, node: fx.Node) -> None:
    ends = torch.iinfo(argument(node, 5))
    if (argument(node, 3), argument(node, 4)) != (ends.min, ends.max):
        raise to.refuse(node, f"codes limited to {node.args[3:5]}; hwsim takes the whole range of their dtype")


@on_codes("onednn.qconv_pointwise.default", "onednn.qconv2d_pointwise.default")
def _conv2d(to: CodeImporter, node: fx.Node) -> None:
    bias, stride, padding, dilation, groups, scale, zero_point, dtype, activation, *_ = node.args[6:]
    window = Window(pair(stride), pair(padding), pair(dilation), int(groups))  # type: ignore[arg-type]
    _layer(to, node, (bias, scale, zero_point, dtype, activation), window)


@on_codes("onednn.qlinear_pointwise.default")
def _linear(to: CodeImporter, node: fx.Node) -> None:
    bias, scale, zero_point, dtype, activation, *_ = node.args[6:]
    if node.meta["val"].dim() != 2:
        raise to.refuse(node, "a linear layer of more than two dimensions; flatten before it")
    _layer(to, node, (bias, scale, zero_point, dtype, activation), None)


def _layer(to: CodeImporter, node: fx.Node, rest: tuple[Any, ...], window: Window | None) -> None:
    bias, scale, zero_point, dtype, activation = rest
    if activation not in ACTIVATIONS:
        raise to.refuse(node, f"a layer with {activation!r} after it; hwsim has {', '.join(ACTIVATIONS)}")
    real = None if bias is None else bias.meta["val"]
    if dtype == torch.float32:
        last = _real(to, node, _sums(to, node, window), real)
        to.values[node] = last if activation == "none" else to.builder.node("relu", (last,), _shape(node), node.name)
        return
    to.values[node] = _codes(to, node, window, node.name, real, activation)
    to.say(node, Affine.per_tensor(float(scale), int(zero_point)))


@on_codes("onednn.qconv2d_pointwise.binary")
def _conv2d_and_sum(to: CodeImporter, node: fx.Node) -> None:
    """A convolution to which a tensor is added: real values to real values, or codes, which gives codes."""
    accumulated: Any = node.args[6]
    bias, stride, padding, dilation, groups, *form, dtype, scale, point, what, alpha, activation, _, _ = node.args[7:]
    found = accumulated.meta["val"].dtype
    if (what, alpha) != ("sum", 1.0) or found != dtype or dtype not in (torch.float32, torch.uint8):
        raise to.refuse(
            node, f"a convolution with {what!r} of {found} after it, to {dtype}; hwsim has sums of one kind"
        )
    if activation not in (None, *ACTIVATIONS):
        raise to.refuse(node, f"a convolution with {activation!r} after it; hwsim has {', '.join(ACTIVATIONS)}")
    window = Window(pair(stride), pair(padding), pair(dilation), int(groups))  # type: ignore[arg-type]
    own = _real(to, node, _sums(to, node, window), None if bias is None else bias.meta["val"])  # type: ignore[union-attr]
    relu = "relu" if activation == "relu" else "none"
    inputs = (own, to.value(accumulated))
    to.values[node] = to.builder.node("add", inputs, _shape(node), node.name, activation=relu)
    if dtype == torch.uint8:
        same = to.builder.tensors[inputs[1]].format
        if same is None or not same.same_as(Affine.per_tensor(scale, point)):
            raise to.refuse(node, f"adds codes as scale {scale} and zero point {point}, which are {same}")
        to.say(node, Affine.per_tensor(*form))


def _sums(to: CodeImporter, node: fx.Node, window: Window | None) -> int:
    """A layer's exact sums, int32."""
    index = _codes(to, node, window, f"{node.name}_sums", None, "none")
    to.builder.set_codes(index, "int32", None)
    return index


def _codes(to: CodeImporter, node: fx.Node, window: Window | None, name: str, bias: Any, activation: str) -> int:
    weights = _weights(node)
    if window is not None:
        return convolve(to, node, weights, bias, window, name, activation=activation)
    inputs = (to.value(node.args[0]), *constants(to, node, *weight_codes(weights, (0, 1)), bias))
    return to.builder.node("fully_connected", inputs, _shape(node), name, activation=activation)


def _weights(node: fx.Node) -> torch.Tensor:
    """A layer's weights with their scales; oneDNN keeps those of a linear layer transposed."""
    packed, scales, points = (part.meta["val"] for part in node.args[3:6])  # type: ignore[union-attr]
    codes = packed.to_dense() if packed.layout != torch.strided else packed
    codes = codes.t().contiguous() if codes.dim() == 2 else codes
    return torch._make_per_channel_quantized_tensor(codes, scales.double(), points, 0)


def _real(to: CodeImporter, node: fx.Node, sums: int, bias: torch.Tensor | None) -> int:
    """Sums times the input's scale, times the weights', plus the bias."""
    shape, scales = _shape(node), node.args[4].meta["val"].detach().numpy()  # type: ignore[union-attr]
    value = to.builder.node("cast", (sums,), shape, f"{node.name}_real")
    to.builder.set_codes(value, "float32", None)
    source = np.array([node.args[1]], np.float32)
    for op, name, numbers in (
        ("mul", "source_scale", source),
        ("mul", "weight_scale", scales),
        ("add", "bias", None if bias is None else bias.detach().numpy()),
    ):
        if numbers is not None:
            constant = to.builder.constant(f"{node.name}_{name}", numbers.astype(np.float32))
            value = to.builder.node(op, (value, constant), shape, f"{node.name}_{op}", activation="none")
    return value


def _shape(node: fx.Node) -> tuple[int, ...]:
    return channels_last(node.meta["val"].shape)
