"""Torch's operators that only move values."""

import numpy as np
from torch import fx

from hwsim.torch_bridge._importer import (
    HANDLERS,
    Importer,
    argument,
    channels_first,
    channels_last,
    handles,
    reshaped,
    transposed,
    turned,
    unturned,
)  # fmt: skip


@handles(
    "aten.flatten.using_ints", "aten.view.default", "aten.reshape.default", "aten.unsqueeze.default",
    "aten.squeeze.dim", "aten.squeeze.dims", "aten.squeeze.default", "aten.unflatten.int", "aten._unsafe_view.default",
)  # fmt: skip
def _reshape(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    shape = to.builder.shape(source)
    if len(shape) == 4:
        source = channels_first(to, source, node.name)
    wanted = tuple(int(n) for n in node.meta["val"].shape)
    first = reshaped(to, source, wanted, f"{node.name}_first" if len(wanted) == 4 else node.name)
    to.values[node] = turned(to, first, node.name)


@handles("aten.cat.default")
def cat(to: Importer, node: fx.Node) -> None:
    """Tensors joined along one axis."""
    parts = node.args[0]
    assert isinstance(parts, list | tuple)
    rank = len(node.meta["val"].shape)
    axis = argument(node, 1, 0) % rank
    place = {0: 0, 1: 3, 2: 1, 3: 2}[axis] if rank == 4 else axis
    to.add(node, "concatenation", [to.value(part) for part in parts], axis=place, activation="none")


@handles("aten.constant_pad_nd.default", "aten.pad.default")
def _pad(to: Importer, node: fx.Node) -> None:
    amounts = node.args[1]
    assert isinstance(amounts, list | tuple)
    rank = len(node.meta["val"].shape)
    if argument(node, 3 if "constant" not in str(node.target) else 2, 0) not in (0, 0.0, None) or min(amounts) < 0:
        raise to.refuse(node, f"{node.target} with other than zeros; hwsim pads with 0")
    borders = np.zeros((rank, 2), np.int32)
    for i, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        borders[rank - 1 - i] = before, after
    if rank == 4:
        borders = borders[[0, 2, 3, 1]]
    to.add(node, "pad", (to.value(node.args[0]), to.builder.constant(f"{node.name}_borders", borders)))


@handles("aten.slice.Tensor")
def _slice(to: Importer, node: fx.Node) -> None:
    part = argument(node, 2) or 0, argument(node, 3), argument(node, 4, 1)
    cut(to, node, to.value(node.args[0]), argument(node, 1, 0), part)


def cut(to: Importer, node: fx.Node, source: int, axis: int, part: tuple[int, int | None, int]) -> None:
    """`node` as part of `source` along an axis of torch's; an image that was not moved is cut as it lies."""
    maker, axis = to.builder.maker(source), axis % len(to.builder.shape(source))
    if len(to.builder.shape(source)) == 4 and (maker is None or maker.op != "transpose"):
        to.values[node] = sliced(to, source, (0, 3, 1, 2)[axis], part, node.name)
        return
    found = sliced(to, unturned(to, source, node.name), axis, part, f"{node.name}_part")
    to.values[node] = turned(to, found, node.name)


def sliced(to: Importer, source: int, axis: int, part: tuple[int, int | None, int], name: str) -> int:
    """`source` from a start to a stop by a step along one axis; both count from the end where they are below 0."""
    shape = to.builder.shape(source)
    axis, size = axis % len(shape), shape[axis]
    begin, end, stride = np.zeros(len(shape), np.int32), np.array(shape, np.int32), np.ones(len(shape), np.int32)
    begin[axis], end[axis], stride[axis] = slice(*part).indices(size)
    if (begin == 0).all() and (end == shape).all() and (stride == 1).all():
        return source
    ends = [
        to.builder.constant(f"{name}_{what}", data) for what, data in (("begin", begin), ("end", end), ("step", stride))
    ]
    out = [len(range(b, e, s)) for b, e, s in zip(begin, end, stride, strict=True)]
    return to.builder.node("strided_slice", (source, *ends), out, name)


@handles("aten.select.int")
def _select(to: Importer, node: fx.Node) -> None:
    source = unturned(to, to.value(node.args[0]), node.name)
    axis, index = node.args[1], node.args[2]
    size = to.builder.shape(source)[axis]
    part = sliced(to, source, axis, (index % size, index % size + 1, 1), f"{node.name}_part")
    kept = reshaped(to, part, tuple(node.meta["val"].shape), f"{node.name}_first")
    to.values[node] = turned(to, kept, node.name)


@handles("aten.expand.default", "aten.expand_as.default")
def _expand(to: Importer, node: fx.Node) -> None:
    shape = tuple(int(n) for n in node.meta["val"].shape)
    source = to.broadcast(node.args[0], len(shape))
    wanted = channels_last(shape)
    if to.builder.shape(source) == wanted:
        to.values[node] = source
        return
    to.add(node, "broadcast_to", (source, to.builder.constant(f"{node.name}_shape", np.array(wanted, np.int32))))


@handles("aten.roll.default")
def _roll(to: Importer, node: fx.Node) -> None:
    """What leaves at one end comes back at the other."""
    source = unturned(to, to.value(node.args[0]), node.name)
    for shift, axis in zip(node.args[1], argument(node, 2, ()), strict=True):  # type: ignore[arg-type]
        shape = to.builder.shape(source)
        cut = -shift % shape[axis]
        parts = [sliced(to, source, axis, (*ends, 1), f"{node.name}_part") for ends in ((cut, None), (0, cut)) if cut]
        if parts:
            axis_ = axis % len(shape)
            source = to.builder.node(
                "concatenation", parts, shape, f"{node.name}_joined", axis=axis_, activation="none"
            )
    to.values[node] = turned(to, source, node.name)


@handles("aten.stack.default")
def _stack(to: Importer, node: fx.Node) -> None:
    shape = tuple(int(n) for n in node.meta["val"].shape)
    axis = argument(node, 1, 0) % len(shape)
    thin = (*shape[:axis], 1, *shape[axis + 1 :])
    parts = [
        reshaped(to, unturned(to, to.value(part), node.name), thin, f"{node.name}_part")
        for part in node.args[0]  # type: ignore[union-attr]
    ]
    joined = to.builder.node("concatenation", parts, shape, f"{node.name}_first", axis=axis, activation="none")
    to.values[node] = turned(to, joined, node.name)


@handles("aten.pixel_shuffle.default")
def _pixel_shuffle(to: Importer, node: fx.Node) -> None:
    """Torch has a channel's pixels side by side, the graph has a pixel's channels."""
    source, block = to.value(node.args[0]), int(node.args[1])  # type: ignore[arg-type]
    batch, height, width, channels = to.builder.shape(source)
    inner = channels // block**2
    apart = reshaped(to, source, (batch * height * width, inner, block**2), f"{node.name}_apart")
    swapped = transposed(to, apart, (0, 2, 1), f"{node.name}_swapped")
    image = reshaped(to, swapped, (batch, height, width, channels), f"{node.name}_image")
    to.add(node, "depth_to_space", (image,), block_size=block)


@handles("aten.chunk.default", "aten.split.Tensor", "aten.split_with_sizes.default")
def _parts(to: Importer, node: fx.Node) -> None:
    """Nothing by itself: whoever takes a part cuts it out."""


@handles("<built-in function getitem>")
def _part(to: Importer, node: fx.Node) -> None:
    parts, index = node.args
    if str(parts.target) not in HANDLERS or HANDLERS[str(parts.target)] is not _parts:
        raise to.refuse(node, f"a part of {parts.target}; hwsim knows parts of chunk and split only")
    axis = argument(parts, 2, parts.kwargs.get("dim", 0))
    sizes = [int(value.shape[axis]) for value in parts.meta["val"]]
    start = sum(sizes[:index])
    cut(to, node, to.value(parts.args[0]), axis, (start, start + sizes[index], 1))


@handles("aten.transpose.int", "aten.permute.default", "aten.t.default")
def _permute(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    rank = len(node.meta["val"].shape)
    order = list(range(rank))
    if "permute" in str(node.target):
        order = [axis % rank for axis in node.args[1]]
    else:
        a, b = (node.args[1] % rank, node.args[2] % rank) if len(node.args) > 2 else (0, 1)
        order[a], order[b] = order[b], order[a]
    if rank == 4:  # both the source and the result lie with their second axis last
        lie = (0, 2, 3, 1)
        order = [lie.index(order[axis]) for axis in lie]
    to.values[node] = transposed(to, source, order, node.name)


@handles(
    "aten.dropout.default", "aten.dropout_.default", "aten.feature_dropout_.default",
    "aten.contiguous.default", "aten.clone.default", "aten.detach.default",
    "aten.alias.default", "aten.feature_dropout.default",
)  # fmt: skip
def _nothing(to: Importer, node: fx.Node) -> None:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    to.same(node, source)


@handles("aten.as_strided.default")
def _as_strided(to: Importer, node: fx.Node) -> None:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if source.meta["val"].shape != node.meta["val"].shape or argument(node, 3, 0):
        raise to.refuse(node, "as_strided to another shape; hwsim does not follow strides")
    to.same(node, source)
