"""Cross-layer equalization, and high biases absorbed by the next layer: the float network stays what it was.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (ICCV 2019), section 4.1.
"""

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Graph
from hwsim.ptq.layers import Layer
from hwsim.ptq.moments import Moments
from hwsim.ptq.pairs import (
    Pair,
    by_input,
    by_output,
    constant,
    largest_by_input,
    largest_by_output,
    pairs,
    unshared,
    with_tensors,
)

Reals = NDArray[np.float64]
ROUNDS = 20
SETTLED = 1e-3
SPREADS = 3.0
"""A bias is absorbed as far as outputs stay positive within so many standard deviations."""


def equalize(graph: Graph) -> Graph:
    """`graph` with the channels between each pair of layers scaled so that both weights reach equally far.

    A channel whose weights are all 0 on one side keeps its scale.
    """
    graph, found = unshared(graph), list(pairs(graph))
    for _ in range(ROUNDS):
        farthest = 0.0
        for pair in found:
            made, read = largest_by_output(graph, pair.first), largest_by_input(graph, pair.second)
            alive = (made > 0) & (read > 0)
            divisor = np.sqrt(np.where(alive, made, 1.0) / np.where(alive, read, 1.0))
            graph = _scaled(graph, pair, divisor)
            farthest = max(farthest, float(np.abs(np.log(divisor)).max(initial=0.0)))
        if farthest < SETTLED:
            break
    return graph


def absorbs(graph: Graph, pair: Pair) -> bool:
    """Whether the second layer can take over what the first adds: it pads nothing, and a relu lies between."""
    padded = graph.nodes[pair.second].attributes.get("padding", "valid") != "valid"
    return not padded and graph.nodes[pair.first].attributes.get("activation") == "relu"


def absorb(graph: Graph, layer: int, moments: Moments) -> Graph:
    """`graph` with what `layer` adds to always positive outputs moved into the bias of the layer that reads them.

    moments : of the layer in the float network
    """
    pair = next((p for p in pairs(graph) if p.first == layer and absorbs(graph, p)), None)
    if pair is None:
        return graph
    first, second = graph.nodes[pair.first], graph.nodes[pair.second]
    bias, next_bias, weights = constant(graph, layer, 2), constant(graph, pair.second, 2), Layer.of(graph, pair.second)
    if bias is None or next_bias is None:
        return graph
    shift = np.maximum(moments.mean_y - SPREADS * np.sqrt(moments.yy), 0.0).reshape(-1)
    constant_rows = weights.rows(np.broadcast_to(shift, graph.tensors[second.inputs[0]].shape)[None].astype(np.float32))
    added = np.einsum("gd,god->go", constant_rows[:, 0], weights.weights).reshape(-1)
    changed = {first.inputs[2]: (bias.reshape(-1) - shift).astype(np.float32).reshape(bias.shape)}
    changed[second.inputs[2]] = (next_bias.reshape(-1) + added).astype(np.float32).reshape(next_bias.shape)
    return with_tensors(graph, changed)


def _scaled(graph: Graph, pair: Pair, divisor: Reals) -> Graph:
    """The channels between the pair divided by `divisor`."""
    first, second = graph.nodes[pair.first], graph.nodes[pair.second]
    made, read, bias = constant(graph, pair.first, 1), constant(graph, pair.second, 1), constant(graph, pair.first, 2)
    assert made is not None
    assert read is not None
    changed = {
        first.inputs[1]: made / by_output(graph, pair.first, divisor),
        second.inputs[1]: read * by_input(graph, pair.second, divisor),
    }
    if bias is not None:
        changed[first.inputs[2]] = bias / divisor.reshape(bias.shape)
    return with_tensors(graph, changed)
