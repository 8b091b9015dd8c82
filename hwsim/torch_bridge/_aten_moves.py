"""Torch's operators that only move values."""

import numpy as np
from torch import fx

from hwsim.torch_bridge._importer import (
    Importer,
    argument,
    channels_first,
    handles,
    reshaped,
    transposed,
)  # fmt: skip


@handles(
    "aten.flatten.using_ints",
    "aten.view.default",
    "aten._unsafe_view.default",
    "aten.reshape.default",
    "aten.unsqueeze.default",
    "aten.squeeze.dim",
)
def _reshape(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    shape = to.builder.shape(source)
    if len(shape) == 4:
        source = channels_first(to, source, node.name)
    wanted = tuple(int(n) for n in node.meta["val"].shape)
    if len(wanted) != 4:
        to.values[node] = reshaped(to, source, wanted, node.name)
        return
    first = reshaped(to, source, wanted, f"{node.name}_first")
    to.values[node] = transposed(to, first, (0, 2, 3, 1), node.name)


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
    source = to.value(node.args[0])
    shape = to.builder.shape(source)
    rank = len(shape)
    axis = argument(node, 1, 0) % rank
    place = {0: 0, 1: 3, 2: 1, 3: 2}[axis] if rank == 4 else axis
    start, stop, step = argument(node, 2) or 0, argument(node, 3), argument(node, 4, 1)
    stop = shape[place] if stop is None else min(stop if stop >= 0 else stop + shape[place], shape[place])
    begin, end, stride = np.zeros(rank, np.int32), np.array(shape, np.int32), np.ones(rank, np.int32)
    begin[place], end[place], stride[place] = start if start >= 0 else start + shape[place], stop, step
    if (begin == 0).all() and (end == shape).all() and (stride == 1).all():
        to.values[node] = source
        return
    ends = [
        to.builder.constant(f"{node.name}_{what}", data)
        for what, data in (("begin", begin), ("end", end), ("step", stride))
    ]
    to.add(node, "strided_slice", (source, *ends))


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
    "aten.dropout.default", "aten.contiguous.default", "aten.clone.default", "aten.detach.default",
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
