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
    image_row,
    pair,
    row_image,
)  # fmt: skip

Borders = Sequence[tuple[int, int]]


def padded(
    to: Importer, node: fx.Node, source: int, window: Sequence[int], stride: tuple[int, int], padding: Any
) -> tuple[int, str]:
    """The input of a window, zeros added where torch's symmetric padding is not TFLite's 'same'; and the padding."""
    if padding in ("valid", "same"):
        return source, padding
    before = pair(padding)
    return bordered(to, node, source, window, stride, [(before[0],) * 2, (before[1],) * 2])


def bordered(
    to: Importer, node: fx.Node, source: int, window: Sequence[int], stride: tuple[int, int], borders: Borders
) -> tuple[int, str]:
    """The same for borders (before, after) of height and width; 'same' never reads what it adds."""
    sizes = to.builder.shape(source)
    if not np.any(borders):
        return source, "valid"
    if is_same(sizes, window, stride, borders):
        return source, "same"
    widths = np.array([(0, 0), *borders, (0, 0)], np.int32)
    shape = [size + int(width.sum()) for size, width in zip(sizes, widths, strict=True)]
    where = to.builder.constant(f"{node.name}_borders", widths)
    return to.builder.node("pad", (source, where), shape, f"{node.name}_pad"), "valid"


def is_same(sizes: Sequence[int], window: Sequence[int], stride: Sequence[int], borders: Borders) -> bool:
    """Whether TFLite's 'same' pads an image (batch, height, width, channels) like this."""
    return [same_padding(*along) for along in zip(sizes[1:3], window, stride, strict=True)] == list(borders)


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """TFLite's padding before and after along one axis."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


@handles("aten.max_pool2d.default", "aten.max_pool2d_with_indices.default")
def _max_pool(to: Importer, node: fx.Node) -> None:
    if pair(argument(node, 4, 1)) != (1, 1):
        raise to.refuse(node, "max_pool2d with dilation; hwsim has none")
    size, stride, borders = frame(to, node, argument(node, 5, False))
    source = to.value(node.args[0])
    outside = np.any(borders) and not is_same(to.builder.shape(source), size, stride, borders)
    if outside and not never_negative(to, source):
        raise to.refuse(node, "max_pool2d pads values that may be negative; hwsim pads with 0, right only after ReLU")
    pool(to, node, "max_pool_2d", (size, stride), bordered(to, node, source, size, stride, borders))


@handles("aten.max_pool1d.default", "aten.avg_pool1d.default", "aten.adaptive_avg_pool1d.default")
def _pool_of_rows(to: Importer, node: fx.Node) -> None:
    """Windows over images of one row, without borders."""
    image = row_image(to, to.value(node.args[0]), node.name)
    if "adaptive" in str(node.target):
        batch, _, length, channels = to.builder.shape(image)
        parts = pair(node.args[1])[1]  # type: ignore[arg-type]
        if length % parts:
            raise to.refuse(node, f"adaptive pooling of {length} to {parts}; hwsim has it for equal windows only")
        size = stride = length // parts
    else:
        size = pair(argument(node, 1))[1]
        stride, padding = pair(argument(node, 2) or size)[1], pair(argument(node, 3, 0))[1]
        if padding or argument(node, 4 if "avg" in str(node.target) else 5, False):
            raise to.refuse(node, f"{node.target} with padding or ceil_mode; of rows hwsim has neither")
    batch, _, length, channels = to.builder.shape(image)
    found = to.builder.node(
        "max_pool_2d" if "max" in str(node.target) else "average_pool_2d", (image,),
        (batch, 1, (length - size) // stride + 1, channels), f"{node.name}_pooled", padding="valid", stride_h=1,
        stride_w=stride, filter_h=1, filter_w=size, activation="none",
    )  # fmt: skip
    to.values[node] = image_row(to, found, node.name)


@handles("aten.avg_pool2d.default")
def _avg_pool(to: Importer, node: fx.Node) -> None:
    size, stride, borders = frame(to, node, argument(node, 4, False))
    source, counted = to.value(node.args[0]), argument(node, 5, True)
    shape = to.builder.shape(source)
    padding = pair(argument(node, 3, 0))
    beyond = [after - before for before, after in borders]
    if argument(node, 6) is not None or (any(beyond) and counted and any(padding)):
        raise to.refuse(
            node, "avg_pool2d with divisor_override, or ceil_mode beside padding that counts; hwsim has none"
        )
    if not counted or any(beyond):
        if np.any(borders) and not is_same(shape, size, stride, borders):
            raise to.refuse(
                node, f"avg_pool2d that does not count its borders {borders}; hwsim has TFLite's 'same' only"
            )
        pool(to, node, "average_pool_2d", (size, stride), (source, "same" if np.any(borders) else "valid"))
        return
    if np.any(borders):
        widths = np.array([(0, 0), *borders, (0, 0)], np.int32)
        wider = [n + int(width.sum()) for n, width in zip(shape, widths, strict=True)]
        source = to.builder.node("pad", (source, to.builder.constant("borders", widths)), wider, "pad")
    pool(to, node, "average_pool_2d", (size, stride), (source, "valid"))


def frame(to: Importer, node: fx.Node, ceiling: bool) -> tuple[tuple[int, int], tuple[int, int], Borders]:
    """A pool's window, its stride, and its borders; `ceil_mode` adds to those after."""
    size = pair(argument(node, 1))
    stride = pair(argument(node, 2) or size)
    image, out = to.builder.shape(to.value(node.args[0]))[1:3], node.meta["val"].shape[2:]
    borders = []
    for axis, before in enumerate(pair(argument(node, 3, 0))):
        reach = (int(out[axis]) - 1) * stride[axis] + size[axis] - image[axis] - before
        borders.append((before, max(reach, before) if ceiling else before))
    return size, stride, borders


def pool(
    to: Importer, node: fx.Node, op: str, moving: tuple[tuple[int, int], tuple[int, int]], over: tuple[int, str]
) -> None:
    """A window of (size, stride) over (tensor, padding)."""
    (size, stride), (source, padding) = moving, over
    to.add(
        node, op, (source,), padding=padding, stride_h=stride[0], stride_w=stride[1], filter_h=size[0],
        filter_w=size[1], activation="none",
    )  # fmt: skip


def never_negative(to: Importer, index: int) -> bool:
    """Whether a tensor comes straight out of a ReLU."""
    makers = [n for n in to.builder.nodes if n.outputs == (index,)]
    return bool(makers) and (makers[0].op in FUSED or makers[0].attributes.get("activation") in FUSED)


@handles("aten.adaptive_avg_pool2d.default", "aten._adaptive_avg_pool2d.default")
def _adaptive(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    image, out = to.builder.shape(source)[1:3], pair(node.args[1])  # type: ignore[arg-type]
    if any(size % parts for size, parts in zip(image, out, strict=True)):
        raise to.refuse(node, f"adaptive pooling of {list(image)} to {list(out)}; hwsim has it for equal windows only")
    if out == (1, 1):
        to.add(node, "mean", (source, to.builder.constant("axes", np.array([1, 2], np.int32))), keep_dims=True)
    elif tuple(image) == out:
        to.values[node] = source
    else:
        size = (image[0] // out[0], image[1] // out[1])
        pool(to, node, "average_pool_2d", (size, size), (source, "valid"))


@handles("aten.upsample_nearest2d.vec", "aten.upsample_nearest2d.default", "aten.upsample_bilinear2d.vec",
         "aten.upsample_bilinear2d.default")  # fmt: skip
def _resize(to: Importer, node: fx.Node) -> None:
    size = [int(n) for n in node.meta["val"].shape[2:]]
    source, where = to.value(node.args[0]), to.builder.constant("size", np.array(size, np.int32))
    if "nearest" in str(node.target):
        to.add(node, "resize_nearest_neighbor", (source, where), align_corners=False, half_pixel_centers=False)
    else:
        align = bool(node.args[2])
        to.add(node, "resize_bilinear", (source, where), align_corners=align, half_pixel_centers=not align)


@handles("aten.mean.dim")
def _mean(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    rank = len(to.builder.shape(source))
    asked, keep = [axis % rank for axis in node.args[1]], bool(argument(node, 2, False))  # type: ignore[union-attr]
    axes = sorted({0: 0, 1: 3, 2: 1, 3: 2}[axis] if rank == 4 else axis for axis in asked)
    if rank == 4 and not keep and axes != [1, 2]:
        raise to.refuse(node, f"mean over axes {node.args[1]}; of images hwsim takes height and width together")
    to.add(node, "mean", (source, to.builder.constant(f"{node.name}_axes", np.array(axes, np.int32))), keep_dims=keep)
