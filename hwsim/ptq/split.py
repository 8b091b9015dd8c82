"""Outlier channel splitting: a channel that meets the largest weights is made twice, its weights halved.

Source: Zhao et al., Improving Neural Network Quantization Without Retraining Using Outlier Channel Splitting (ICML
2019).
"""

from dataclasses import replace
from math import ceil

import numpy as np

from hwsim.graph import Graph, Tensor
from hwsim.ptq.pairs import Pair, constant, grouped, largest_by_input, pairs, unshared

RATIO = 0.05


def split_outliers(graph: Graph, ratio: float = RATIO) -> Graph:
    """`graph` with `ratio` more channels, rounded up, between each pair of plain layers; it computes the same."""
    graph = unshared(graph)
    for pair in list(pairs(graph)):
        plain = all(graph.nodes[i].op in ("conv2d", "fully_connected") for i in (pair.first, pair.second))
        if plain and not grouped(graph, pair.first):
            graph = _split(graph, pair, ratio)
    return graph


def _split(graph: Graph, pair: Pair, ratio: float) -> Graph:
    largest = largest_by_input(graph, pair.second)
    source, share = list(range(len(largest))), np.ones(len(largest))
    for _ in range(ceil(ratio * len(largest))):
        worst = int(np.argmax(largest[source] * share))
        share[worst] /= 2
        source, share = [*source, source[worst]], np.append(share, share[worst])
    tensors, first, second = list(graph.tensors), graph.nodes[pair.first], graph.nodes[pair.second]
    made, read, bias = (constant(graph, *at) for at in ((pair.first, 1), (pair.second, 1), (pair.first, 2)))
    assert made is not None
    assert read is not None
    middle = tensors[first.outputs[0]]
    tensors[first.outputs[0]] = replace(middle, shape=(*middle.shape[:-1], len(source)))
    new = {first.inputs[1]: made[source], second.inputs[1]: read[..., source] * share.astype(np.float32)}
    if bias is not None:
        new[first.inputs[2]] = bias.reshape(-1)[source]
    for index, data in new.items():
        tensors[index] = Tensor(tensors[index].name, data.shape, "float32", None, np.ascontiguousarray(data))
    return replace(graph, tensors=tuple(tensors), source=None)
