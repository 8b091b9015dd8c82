"""Torch's pooling, and the padding of windows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import fx

from hwsim.torch_bridge._importer import (
    FUSED,
    Importer,
    argument,
    handles,
    pair,
)  # fmt: skip


def padded(
    to: Importer, node: fx.Node, source: int, window: Sequence[int], stride: tuple[int, int], padding: Any
) -> tuple[int, str]:
    """The input of a window, zeros added where torch's symmetric padding is not TFLite's 'same'; and the padding."""
    if padding == "valid" or (padding != "same" and pair(padding) == (0, 0)):
        return source, "valid"
    sizes = to.builder.shape(source)
    if padding == "same":
        return source, "same"
    before = pair(padding)
    tops = [same_padding(*sizes_) for sizes_ in zip(sizes[1:3], window, stride, strict=True)]
    if all(top == (pad, pad) for top, pad in zip(tops, before, strict=True)):
        return source, "same"
    borders = np.array([[0, 0], [before[0]] * 2, [before[1]] * 2, [0, 0]], np.int32)
    shape = (sizes[0], sizes[1] + 2 * before[0], sizes[2] + 2 * before[1], sizes[3])
    where = to.builder.constant(f"{node.name}_borders", borders)
    return to.builder.node("pad", (source, where), shape, f"{node.name}_pad"), "valid"


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """TFLite's padding before and after along one axis."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


@handles("aten.max_pool2d.default", "aten.max_pool2d_with_indices.default")
def _max_pool(to: Importer, node: fx.Node) -> None:
    if pair(argument(node, 4, 1)) != (1, 1) or argument(node, 5, False):
        raise to.refuse(node, "max_pool2d with dilation or ceil_mode; hwsim has neither")
    if pair(argument(node, 3, 0)) != (0, 0) and not never_negative(to, to.value(node.args[0])):
        raise to.refuse(node, "max_pool2d pads values that may be negative; hwsim pads with 0, right only after ReLU")
    pool(to, node, "max_pool_2d", argument(node, 3, 0))


@handles("aten.avg_pool2d.default")
def _avg_pool(to: Importer, node: fx.Node) -> None:
    padding = pair(argument(node, 3, 0))
    if argument(node, 4, False) or argument(node, 6) is not None or (padding != (0, 0) and not argument(node, 5, True)):
        raise to.refuse(node, "avg_pool2d with ceil_mode, divisor_override or count_include_pad=False; hwsim has none")
    pool(to, node, "average_pool_2d", padding)


def pool(to: Importer, node: fx.Node, op: str, padding: Any) -> None:
    """A pooling window."""
    size = pair(argument(node, 1))
    stride = pair(argument(node, 2) or size)
    source, kind = padded(to, node, to.value(node.args[0]), size, stride, padding)
    if kind == "same" and op == "average_pool_2d":
        borders = np.array([[0, 0], [pair(padding)[0]] * 2, [pair(padding)[1]] * 2, [0, 0]], np.int32)
        shape = [n + int(b.sum()) for n, b in zip(to.builder.shape(source), borders, strict=True)]
        source, kind = to.builder.node("pad", (source, to.builder.constant("borders", borders)), shape, "pad"), "valid"
    to.add(
        node, op, (source,), padding=kind, stride_h=stride[0], stride_w=stride[1], filter_h=size[0], filter_w=size[1],
        activation="none",
    )  # fmt: skip


def never_negative(to: Importer, index: int) -> bool:
    """Whether a tensor comes straight out of a ReLU."""
    makers = [n for n in to.builder.nodes if n.outputs == (index,)]
    return bool(makers) and (makers[0].op in FUSED or makers[0].attributes.get("activation") in FUSED)


@handles("aten.adaptive_avg_pool2d.default", "aten._adaptive_avg_pool2d.default", "aten.mean.dim")
def _mean(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    rank = len(to.builder.shape(source))
    if "adaptive" in str(node.target):
        if pair(node.args[1]) != (1, 1):
            raise to.refuse(node, f"adaptive_avg_pool2d to {node.args[1]}; hwsim has (1, 1)")
        axes, keep = [1, 2], True
    else:
        asked, keep = [axis % rank for axis in node.args[1]], bool(argument(node, 2, False))
        axes = sorted({0: 0, 1: 3, 2: 1, 3: 2}[axis] if rank == 4 else axis for axis in asked)
        if rank == 4 and not keep and axes != [1, 2]:
            raise to.refuse(node, f"mean over axes {node.args[1]}; of images hwsim takes height and width together")
    to.add(node, "mean", (source, to.builder.constant(f"{node.name}_axes", np.array(axes, np.int32))), keep_dims=keep)
