"""From a float graph and its number formats to an integer graph: weights to codes, biases to the accumulator's scale.

Nothing is decided here: formats come from calibration, training or a user. The operators and their options stay; a
fused activation becomes limits of codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import GraphError, UnsupportedError
from hwsim.graph import Affine, Format, Graph, Levels, Node, Tensor

Reals = NDArray[np.float64]
WEIGHTED = {"conv2d": 0, "depthwise_conv2d": 3, "fully_connected": 0}
"""Operators with weights at input 1, and the axis of their output channels."""

FIXED = {
    "softmax": (1 / 256, -128),
    "logistic": (1 / 256, -128),
    "tanh": (1 / 128, 0),
    "l2_normalization": (1 / 128, 0),
}
"""Operators whose output has one scale and zero point in int8, whatever was seen."""

BIAS_LIMIT = 2**31 - 1
WIDE_BITS = 16
PRECISE = ("layer_norm",)
"""Operators whose float constants become int32 codes: no product is as wide as they are."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Codes of one layer's weights.

    Parameters
    ----------
    codes : integers of the weights' shape; signed for `Affine`, from 0 for `Levels`
    format : what they stand for
    """

    codes: NDArray[Any]
    format: Format


@dataclass(frozen=True, slots=True)
class Coding:
    """The formats of a float graph's values.

    Parameters
    ----------
    activations : by tensor index, of every computed float tensor and input, per tensor; `bits` may be fewer than 8, or
        16 without a zero point
    weights : by node index, of every layer with weights
    biases : by node index, real values, where they are not the graph's own
    inputs : by node index, in which codes a layer reads its input, where they are not the tensor's own: it is
        requantized for the layer alone
    tables : by tensor index, levels with thresholds where codes lie behind a table instead
    """

    activations: Mapping[int, Affine]
    weights: Mapping[int, Weights]
    biases: Mapping[int, Reals] = field(default_factory=dict)
    inputs: Mapping[int, Affine] = field(default_factory=dict)
    tables: Mapping[int, Levels] = field(default_factory=dict)

    def read_by(self, graph: Graph, index: int) -> Format:
        """The codes in which layer `index` reads its input."""
        source = graph.nodes[index].inputs[0]
        return self.inputs.get(index) or self.tables.get(source) or self.activations[source]


def lower(graph: Graph, coding: Coding) -> Graph:
    """The integer graph of `graph` under `coding`.

    Raises
    ------
    GraphError : where a tensor or layer has no format
    UnsupportedError : for a layer whose weights are computed
    """
    tensors = [_activation(graph, i, coding) for i in range(len(graph.tensors))]
    nodes: list[Node] = []
    narrowed: dict[tuple[int, str], int] = {}
    for index, node in enumerate(graph.nodes):
        if node.op in WEIGHTED:
            layer = _layer(graph, index, coding, tensors)
            source = _requantized(graph, index, coding, tensors, nodes, narrowed)
            nodes.append(replace(layer, inputs=(source, *layer.inputs[1:])))
        else:
            nodes.append(_operator(graph, node, tensors))
    return pruned(Graph(f"{graph.name} in integers", tuple(tensors), tuple(nodes), graph.inputs, graph.outputs))


def code_dtype(form: Affine) -> str:
    """The dtype that holds signed codes of a coding's format."""
    return "int16" if form.bits == WIDE_BITS else "int8"


def bias_scale(activations: Format, weights: Format) -> Reals:
    """The scale of a layer's sums, float64 (1,) or (channels,): what its biases are multiples of."""
    return np.float64(activations.scale[0]) * weights.scale.astype(np.float64)


def pruned(graph: Graph) -> Graph:
    """`graph` without the tensors that nothing refers to."""
    used = {i for node in graph.nodes for i in (*node.inputs, *node.outputs) if i >= 0}
    used |= {*graph.inputs, *graph.outputs}
    place = {old: new for new, old in enumerate(sorted(used))} | {-1: -1}

    def moved(indices: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(place[i] for i in indices)

    nodes = tuple(replace(n, inputs=moved(n.inputs), outputs=moved(n.outputs)) for n in graph.nodes)
    tensors = tuple(graph.tensors[i] for i in sorted(used))
    return replace(graph, tensors=tensors, nodes=nodes, inputs=moved(graph.inputs), outputs=moved(graph.outputs))


def _activation(graph: Graph, index: int, coding: Coding) -> Tensor:
    tensor = graph.tensors[index]
    if tensor.dtype != "float32" or tensor.data is not None:
        return tensor
    if index in coding.tables:
        return replace(tensor, dtype="uint8", format=coding.tables[index])
    if index not in coding.activations:
        raise GraphError(f"tensor {tensor.name!r} has no number format; calibrate it or give it one")
    form = coding.activations[index]
    return replace(tensor, dtype=code_dtype(form), format=replace(form, bits=None) if form.bits == WIDE_BITS else form)


def _requantized(
    graph: Graph,
    index: int,
    coding: Coding,
    tensors: list[Tensor],
    nodes: list[Node],
    done: dict[tuple[int, str], int],
) -> int:
    """The tensor that layer `index` reads; a QUANTIZE is added where nobody made these codes yet."""
    source = graph.nodes[index].inputs[0]
    if index not in coding.inputs:
        return source
    form = coding.inputs[index]
    key = source, f"{form.scale[0]!r} {form.zero_point[0]} {form.bits}"
    if key not in done:
        name = f"{graph.tensors[source].name}/read/{index}"
        tensors.append(Tensor(name, graph.tensors[source].shape, "int8", form))
        done[key] = len(tensors) - 1
        nodes.append(Node("quantize", name, (source,), (done[key],), {}))
    return done[key]


def _layer(graph: Graph, index: int, coding: Coding, tensors: list[Tensor]) -> Node:
    """A layer with weights, its constants appended to `tensors`."""
    node = graph.nodes[index]
    label = f"{node.op} {node.name!r}"
    old = graph.tensors[node.inputs[1]]
    if old.data is None:
        raise UnsupportedError(f"{label}: weights {old.name!r} are computed; hwsim quantizes constant ones")
    if index not in coding.weights:
        raise GraphError(f"{label}: its weights have no number format")
    weights = coding.weights[index]
    dtype = "uint8" if isinstance(weights.format, Levels) else "int8"
    form = replace(weights.format, thresholds=None) if isinstance(weights.format, Levels) else weights.format
    tensors.append(Tensor(f"{old.name}/codes/{index}", old.shape, dtype, form, weights.codes.astype(dtype)))
    inputs = [node.inputs[0], len(tensors) - 1]
    bias = coding.biases.get(index, _bias(graph, node))
    if bias is not None:
        scale = bias_scale(coding.read_by(graph, index), weights.format)
        codes = np.clip(np.rint(bias / scale), -BIAS_LIMIT, BIAS_LIMIT).astype(np.int32)
        form = Affine(scale.astype(np.float32), np.zeros(scale.shape, np.int64), 0 if scale.size > 1 else None)
        tensors.append(Tensor(f"{node.name}/bias/{index}", codes.shape, "int32", form, codes))
        inputs.append(len(tensors) - 1)
    return replace(node, inputs=tuple(inputs))


def _bias(graph: Graph, node: Node) -> Reals | None:
    if len(node.inputs) < 3 or node.inputs[2] < 0:
        return None
    data = graph.tensors[node.inputs[2]].data
    if data is None:
        raise UnsupportedError(f"{node.op} {node.name!r}: its bias is computed; hwsim quantizes constant ones")
    return data.astype(np.float64).reshape(-1)


def _operator(graph: Graph, node: Node, tensors: list[Tensor]) -> Node:
    """An operator without weights; its float constants become codes of eight bits, or of 32."""
    inputs = list(node.inputs)
    for place, index in enumerate(node.inputs):
        tensor = graph.tensors[index] if index >= 0 else None
        if tensor is None or tensor.data is None or tensor.dtype != "float32":
            continue
        codes, form = _precise(tensor.data) if node.op in PRECISE else _byte_codes(tensor.data)
        tensors.append(Tensor(f"{tensor.name}/codes", tensor.shape, codes.dtype.name, form, codes))
        inputs[place] = len(tensors) - 1
    return replace(node, inputs=tuple(inputs))


def _byte_codes(data: NDArray[Any]) -> tuple[NDArray[Any], Affine]:
    form = Affine.per_tensor((float(np.abs(data).max(initial=0.0)) or 1.0) / 127)
    return np.rint(data / form.scale[0]).astype(np.int8), form


def _precise(data: NDArray[Any]) -> tuple[NDArray[Any], Affine]:
    """int32 codes at a power of two: float32 values exactly, where none is far smaller than the largest."""
    form = Affine.per_tensor(2.0 ** (frexp(float(np.abs(data).max(initial=0.0)) or 1.0)[1] - 30))
    return np.rint(data / form.scale[0].astype(np.float64)).astype(np.int32), form
