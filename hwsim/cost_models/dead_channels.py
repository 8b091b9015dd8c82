"""Channels that a network carries for nothing: filters whose weights are all zero, and filters that nobody reads.

The public int8 reference network of MLPerf Tiny's visual wake words is half of such channels: about 3.7 of its 7.5
million multiply-accumulates count. Some runtimes drop them when they compile a network; others compute zeros.
"""

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Graph, Grouped, Levels, NodeView, Tensor

Mask = NDArray[np.bool_]
POINTWISE = ("average_pool_2d", "max_pool_2d", "mean", "pad", "relu", "relu6", "quantize")
"""Operators that handle each channel alone: what is dead before them is dead after."""


def live_channels(graph: Graph) -> list[tuple[int, int]]:
    """(input, output) channels that count, for each node: those computed from something and read by someone."""
    views = [NodeView(graph, node) for node in graph.nodes]
    alive = [np.ones(tensor.shape[-1] if tensor.shape else 1, bool) for tensor in graph.tensors]
    for view in views:
        _forward(view, alive)
    read = [np.zeros_like(mask) for mask in alive]
    for index in graph.outputs:
        read[index][:] = True
    for view in reversed(views):
        _backward(view, alive, read)
    both = [a & b for a, b in zip(alive, read, strict=True)]
    return [(_count(both, view.node.inputs), _count(both, view.node.outputs)) for view in views]


def _forward(view: NodeView, alive: list[Mask]) -> None:
    used = _used(view)
    if (
        used is None
        and view.node.op in POINTWISE
        and alive[view.node.inputs[0]].size == alive[view.node.outputs[0]].size
    ):
        alive[view.node.outputs[0]] = alive[view.node.inputs[0]]
    elif used is not None:
        known = used & alive[view.node.inputs[0]]
        alive[view.node.outputs[0]] = np.asarray(known[0] if view.node.op == "depthwise_conv2d" else known.any(axis=1))


def _backward(view: NodeView, alive: list[Mask], read: list[Mask]) -> None:
    used = _used(view)
    for position, index in enumerate(i for i in view.node.inputs if i >= 0):
        out = read[view.node.outputs[0]] & alive[view.node.outputs[0]]
        if position == 0 and used is not None:
            read[index] |= used[0] & out if view.node.op == "depthwise_conv2d" else used[out].any(0)
        elif position == 0 and view.node.op in POINTWISE and read[index].size == out.size:
            read[index] |= out
        else:
            read[index][:] = True


def _used(view: NodeView) -> Mask | None:
    """(filters, input channels): which are joined by a weight that is not zero; one row where channels stay apart."""
    weights = view.optional(1)
    if view.node.op not in ("conv2d", "depthwise_conv2d") or weights is None or weights.data is None:
        return None
    if isinstance(weights.format, Levels | Grouped):  # no engine looks behind a table or a multiplier for zeros
        return None
    joined = weights.data != _zero(weights)
    channels = view.input(0).shape[-1]
    depthwise = view.node.op == "depthwise_conv2d"
    found = joined.any(axis=(0, 1, 2))[None] if depthwise else joined.any(axis=(1, 2))
    return np.asarray(found) if found.shape[-1] == channels else None


def _zero(weights: Tensor) -> int:
    return int(weights.affine.zero_point[0]) if weights.format is not None and weights.affine.zero_point.size else 0


def _count(both: list[Mask], indices: tuple[int, ...]) -> int:
    return int(both[indices[0]].sum()) if indices and indices[0] >= 0 else 1
