"""Layers that feed one other layer and nobody else: their channels can be scaled or split, the network stays."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Graph, Tensor
from hwsim.ptq.lower import WEIGHTED

HOMOGENEOUS = ("none", "relu")
"""Activation functions f with f(s x) = s f(x) for s > 0."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers by node index: the channels that `first` makes are those that `second` reads."""

    first: int
    second: int


def pairs(graph: Graph) -> Iterator[Pair]:
    """Every such pair, in execution order; the tensor between them is no output and has no activation but relu."""
    for index, node in enumerate(graph.nodes):
        if node.op not in WEIGHTED or node.attributes.get("activation", "none") not in HOMOGENEOUS:
            continue
        middle = node.outputs[0]
        readers = [i for i, other in enumerate(graph.nodes) if middle in other.inputs]
        if middle in graph.outputs or len(readers) != 1 or graph.nodes[readers[0]].op not in WEIGHTED:
            continue
        if graph.nodes[readers[0]].inputs[0] == middle and not grouped(graph, readers[0]):
            yield Pair(index, readers[0])


def constant(graph: Graph, node: int, position: int) -> NDArray[np.float32] | None:
    """The constant at an input of a node; None where it is absent."""
    inputs = graph.nodes[node].inputs
    return graph.tensors[inputs[position]].data if position < len(inputs) and inputs[position] >= 0 else None


def by_output(graph: Graph, node: int, vector: NDArray[Any]) -> NDArray[Any]:
    """A number for each output channel, to broadcast with the layer's weights."""
    axis, rank = WEIGHTED[graph.nodes[node].op], len(graph.tensors[graph.nodes[node].inputs[1]].shape)
    return vector.reshape([-1 if a == axis else 1 for a in range(rank)])


def by_input(graph: Graph, node: int, vector: NDArray[Any]) -> NDArray[Any]:
    """A number for each input channel, to broadcast with the layer's weights."""
    weights = graph.tensors[graph.nodes[node].inputs[1]]
    if graph.nodes[node].op == "depthwise_conv2d":
        return np.repeat(vector, weights.shape[3] // len(vector)).reshape(1, 1, 1, -1)
    return vector.reshape([1] * (len(weights.shape) - 1) + [-1])


def largest_by_output(graph: Graph, node: int) -> NDArray[np.float64]:
    """The largest magnitude of each output channel's weights."""
    weights, axis = constant(graph, node, 1), WEIGHTED[graph.nodes[node].op]
    assert weights is not None
    found: NDArray[np.float64] = np.abs(weights).max(axis=tuple(a for a in range(weights.ndim) if a != axis))
    return found.astype(np.float64)


def largest_by_input(graph: Graph, node: int) -> NDArray[np.float64]:
    """The largest magnitude of the weights that each input channel meets."""
    weights = constant(graph, node, 1)
    assert weights is not None
    found: NDArray[np.float64] = np.abs(weights).max(axis=tuple(range(weights.ndim - 1))).astype(np.float64)
    if graph.nodes[node].op == "depthwise_conv2d":
        channels = graph.tensors[graph.nodes[node].inputs[0]].shape[3]
        found = found.reshape(channels, -1).max(axis=1)
    return found


def with_tensors(graph: Graph, changed: dict[int, NDArray[np.float32]]) -> Graph:
    """`graph` with other constants in these places; `unshared` first, where several nodes read one."""
    tensors = list(graph.tensors)
    for index, data in changed.items():
        old = tensors[index]
        tensors[index] = Tensor(old.name, data.shape, old.dtype, old.format, np.ascontiguousarray(data, np.float32))
    return replace(graph, tensors=tuple(tensors), source=None)


def unshared(graph: Graph) -> Graph:
    """`graph` with constants of its own for every layer."""
    tensors, nodes, taken = list(graph.tensors), [], set[int]()
    for number, node in enumerate(graph.nodes):
        inputs = list(node.inputs)
        for place, index in enumerate(inputs):
            if node.op in WEIGHTED and index >= 0 and tensors[index].data is not None:
                if index in taken:
                    tensors.append(replace(tensors[index], name=f"{tensors[index].name}/own/{number}"))
                    inputs[place] = len(tensors) - 1
                taken.add(inputs[place])
        nodes.append(replace(node, inputs=tuple(inputs)))
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes), source=None)


def grouped(graph: Graph, index: int) -> bool:
    """Whether a convolution is divided into groups, whose inputs are no run of channels of the weights."""
    node = graph.nodes[index]
    shape = graph.tensors[node.inputs[0]].shape
    return node.op == "conv2d" and shape[-1] != graph.tensors[node.inputs[1]].shape[-1]
