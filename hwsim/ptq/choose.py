"""Number formats for a float graph from what was seen: which width each tensor and layer has, and which range."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph import Affine, Graph, Grouped
from hwsim.ptq.lower import FIXED, WEIGHTED, Coding, Weights
from hwsim.ptq.observe import Seen
from hwsim.ptq.ties import MOVES, tied
from hwsim.quantizers.granularity import per_channel
from hwsim.quantizers.grouped import GroupedScales
from hwsim.quantizers.ibert import SMALLEST_SCALE
from hwsim.quantizers.uniform import Uniform

BYTE_BITS, FINE_BITS = 8, 16
GROUPED_BITS = 5
"""Codes of so many bits times multipliers of 4 still fit what kernels multiply."""

FITTED = 1 << 14
"""About so many values decide a range: ten times as many move a 4-bit scale by less than half a percent."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Bits by layer.

    Parameters
    ----------
    weights, activations : of a layer's weights and of what it reads, 2 to 8
    ends : of both in the first and the last layer with weights
    sums : of what operators without weights read (sums of residual networks, means); a layer that wants fewer bits of
        such a tensor gets its own, requantized codes
    layers : by node index, (weights, activations) where a layer differs
    fine : operators that read `FINE_BITS`, as an engine's profile says; so do sums that they read, of their layers
    group : weights of a channel, in the order of their products, that share an integer multiplier
        (`quantizers.grouped`), in layers with weights of at most 5 bits; None for one scale per channel and no more
    """

    weights: int = 8
    activations: int = 8
    ends: int = 8
    sums: int = 8
    layers: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    fine: tuple[str, ...] = ()
    group: int | None = None

    def of(self, graph: Graph) -> dict[int, tuple[int, int]]:
        """(weights, activations) of every layer with weights, by node index."""
        places = [i for i, node in enumerate(graph.nodes) if node.op in WEIGHTED]
        found = dict.fromkeys(places, (self.weights, self.activations))
        for end in {*places[:1], *places[-1:]}:
            found[end] = (max(self.ends, self.weights), max(self.ends, self.activations))
        found.update({i: bits for i, bits in self.layers.items() if i in found})
        for i, bits in found.items():
            if not all(2 <= width <= 8 for width in bits):
                raise InputError(f"{graph.nodes[i].name!r}: widths are {bits}; expected 2 to 8 bits each")
        return found


def choose(
    graph: Graph, seen: Mapping[int, Seen], widths: Widths, *, weights_by: str = "mse", activations_by: str = "mse"
) -> Coding:
    """Formats of every tensor and layer of a float graph.

    Parameters
    ----------
    seen : what `observe` found
    weights_by, activations_by : how ranges are taken: 'min_max', 'percentile', 'mse' or 'entropy'

    Weights are symmetric, one scale per output channel; activations affine, one scale per tensor. A tensor has the
    width that its widest reader asks for; tensors that an operator only moves share one format.
    """
    bits, tensors = widths.of(graph), tensor_bits(graph, widths)
    activations = choose_activations(graph, seen, tensors, activations_by)
    inputs = {
        i: fit_activation([seen[source]], width, activations_by)
        for i, (_, width) in bits.items()
        if width < tensors[source := graph.nodes[i].inputs[0]]
    }
    weights = {
        i: fit_weights(graph, i, width, weights_by)
        if widths.group is None or width > GROUPED_BITS
        else fit_grouped(graph, i, width, widths.group)
        for i, (width, _) in bits.items()
    }
    return Coding(activations, weights, inputs=inputs)


def tensor_bits(graph: Graph, widths: Widths) -> dict[int, int]:
    """The width of every computed float tensor and input: the widest that anybody who reads it asks for.

    Layers ask for their activations' width, other operators for `widths.sums`; the graph's outputs and what softmax
    and its like read have 8 bits; what an operator in `widths.fine` reads has `FINE_BITS`.
    """
    same, layers = tied(graph), widths.of(graph)
    asked = dict.fromkeys(same.values(), 2)
    for i, node in enumerate(graph.nodes):
        if node.op in MOVES:
            continue
        width = layers[i][1] if i in layers else widths.sums
        for index in node.inputs:
            if index in same:
                asked[same[index]] = max(asked[same[index]], width)
    for index in (*graph.outputs, *_before_fixed(graph)):
        if index in same:
            asked[same[index]] = 8
    asked.update(dict.fromkeys(_fine(graph, same, widths.fine), FINE_BITS))
    return {index: asked[root] for index, root in same.items()}


def choose_activations(
    graph: Graph, seen: Mapping[int, Seen], bits: Mapping[int, int], method: str
) -> dict[int, Affine]:
    """A format of `bits` for each tensor, from everything that was seen of those it shares it with."""
    same, found = tied(graph), dict[int, Affine]()
    fixed = {node.outputs[0]: FIXED[node.op] for node in graph.nodes if node.op in FIXED}
    groups: dict[int, list[int]] = {}
    for index, root in same.items():
        groups.setdefault(root, []).append(index)
    for members in groups.values():
        known = [fixed[i] for i in members if i in fixed]
        values = [seen[i] for i in members if i in seen]
        form = Affine.per_tensor(*known[0]) if known else fit_activation(values, bits[members[0]], method)
        if form.bits == FINE_BITS:
            finest = max(_finest(graph, i) for i in members)
            form = replace(form, scale=np.maximum(form.scale, np.float32(finest)))
        found.update(dict.fromkeys(members, form))
    return found


def _finest(graph: Graph, index: int) -> float:
    """The smallest scale that whoever reads a tensor can take: I-BERT's softmax has one, times its beta."""
    betas = [float(n.attributes.get("beta", 1.0)) for n in graph.nodes if n.op == "softmax" and n.inputs[0] == index]  # type: ignore[arg-type]
    return max((2.0 ** ceil(log2(SMALLEST_SCALE / beta)) for beta in betas), default=0.0)


def fit_activation(seen: list[Seen], bits: int, method: str) -> Affine:
    """Signed codes of `bits` with a zero point; of more than 8 bits without, and over everything seen."""
    ends = np.array([0.0, *(s.low for s in seen), *(s.high for s in seen)])
    every = np.concatenate([s.values for s in seen]) if seen else ends
    values = ends if method == "min_max" else every[:: max(1, len(every) // FITTED)]
    if bits > BYTE_BITS:
        form, zero_point = Uniform.fit(ends, bits, kind="restricted"), 0
    else:
        form = Uniform.fit(values, bits, kind="affine", method=method)
        zero_point = int(form.zero_point[0]) - (1 << (bits - 1))
    scale = np.array([max(float(form.scale[0]), np.finfo(np.float32).tiny)], np.float32)
    return Affine(scale, np.array([zero_point], np.int64), None, bits if bits != BYTE_BITS else None)


def fit_weights(graph: Graph, index: int, bits: int, method: str) -> Weights:
    """Symmetric codes of `bits`, one scale per output channel."""
    data, axis = float_weights(graph, index), WEIGHTED[graph.nodes[index].op]
    form = Uniform.fit(data, bits, kind="restricted", method=method, granularity=per_channel(axis))
    scale = form.scale.astype(np.float32)
    zero = np.zeros(scale.shape, np.int64)
    return Weights(form.encode(data), Affine(scale, zero, axis, bits if bits < 8 else None))


def fit_grouped(graph: Graph, index: int, bits: int, group: int) -> Weights:
    """Symmetric codes of `bits`, a scale per channel and an integer of 4 bits for each `group` of its weights."""
    data, axis = float_weights(graph, index), WEIGHTED[graph.nodes[index].op]
    form = GroupedScales.fit(data, bits, axis=axis, size=group)
    return Weights(form.encode(data), Grouped.of(form))


def float_weights(graph: Graph, index: int) -> NDArray[Any]:
    """The weights of layer `index`; InputError where they are not float constants."""
    node = graph.nodes[index]
    data = graph.tensors[node.inputs[1]].data
    if data is None or data.dtype != np.float32:
        raise InputError(f"{node.op} {node.name!r}: its weights are not float32 constants; quantize a float network")
    return data


def _fine(graph: Graph, same: Mapping[int, int], operators: tuple[str, ...]) -> set[int]:
    """The groups of `same` that operators read finely, and what layers add to sums among them.

    A layer's sum that is rounded to 8 bits before it is added to something finer would waste that.
    """
    made = {same[node.outputs[0]] for node in graph.nodes if node.op in WEIGHTED}
    found = {same[node.inputs[0]] for node in graph.nodes if node.op in operators and node.inputs[0] in same}
    for node in reversed(graph.nodes):
        if node.op == "add" and same[node.outputs[0]] in found:
            found |= {same[i] for i in node.inputs if i in same} & made
    return found


def _before_fixed(graph: Graph) -> list[int]:
    """What softmax and its like read: eight bits cost nothing there and decide the answer."""
    return [node.inputs[0] for node in graph.nodes if node.op in FIXED]
