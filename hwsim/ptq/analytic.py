"""Bias correction without data: what rounding weights does to the mean output, from batch norm's statistics alone.

Before its activation function a layer's output is taken as normal, with the mean and standard deviation that batch norm
recorded; relu's clipped normal has a mean in closed form. Sums of tensors are taken as normal again.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (ICCV 2019), appendix C.
"""

from dataclasses import replace
from math import erf, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Graph
from hwsim.ptq.layers import Layer, real_weights
from hwsim.ptq.lower import WEIGHTED, Coding
from hwsim.ptq.zero_shot import Statistics

Reals = NDArray[np.float64]
Spread = tuple[Reals, Reals]
"""Mean and variance of every channel."""

_erf = np.vectorize(erf, otypes=[np.float64])


def analytic_bias_correction(graph: Graph, coding: Coding, statistics: Statistics) -> Coding:
    """`coding` with biases that undo the shift of the mean, for every layer whose input's mean is known.

    Known is the mean behind a layer in `statistics`, and behind relu, pooling, padding of channels and sums of such.
    """
    known, biases = _spreads(graph, statistics), dict(coding.biases)
    for index, node in enumerate(graph.nodes):
        if node.op not in WEIGHTED or node.inputs[0] not in known or index not in coding.weights:
            continue
        layer = Layer.of(graph, index)
        mean = known[node.inputs[0]][0]
        taps = layer.depth * layer.groups // len(mean)
        by_depth = mean.reshape(layer.groups, -1)
        rows = np.tile(by_depth, (1, taps)).reshape(layer.groups, layer.depth)
        shift = np.einsum("god,gd->go", real_weights(layer, coding.weights[index]) - layer.weights, rows).reshape(-1)
        biases[index] = biases.get(index, layer.bias.astype(np.float64)) - shift
    return replace(coding, biases=biases)


def clipped_normal(mean: Reals, variance: Reals) -> Spread:
    """Mean and variance of max(0, x) for normal x."""
    spread = np.sqrt(np.maximum(variance, 1e-30))
    ratio = mean / spread
    density = np.exp(-(ratio**2) / 2) / sqrt(2 * pi)
    share = (1 + _erf(ratio / sqrt(2))) / 2
    first = mean * share + spread * density
    second = (mean**2 + spread**2) * share + mean * spread * density
    return np.maximum(first, 0.0), np.maximum(second - first**2, 0.0)


def _spreads(graph: Graph, statistics: Statistics) -> dict[int, Spread]:
    known: dict[int, Spread] = {}
    for node in graph.nodes:
        found: Spread | None = None
        given = [known[i] for i in node.inputs if i in known]
        if node.op in WEIGHTED and node.name in statistics:
            mean, spread = (np.asarray(p, np.float64) for p in statistics[node.name])
            found = mean, spread**2
        elif node.op == "add" and len(given) == 2:
            found = given[0][0] + given[1][0], given[0][1] + given[1][1]
        elif node.op in ("average_pool_2d", "relu", "strided_slice", "pad", "reshape") and len(given) == 1:
            found = _moved(graph, node.inputs[0], node.outputs[0], given[0])
        if found is None:
            continue
        relu = node.op == "relu" or node.attributes.get("activation", "none") == "relu"
        known[node.outputs[0]] = clipped_normal(*found) if relu else found
    return known


def _moved(graph: Graph, source: int, target: int, spread: Spread) -> Spread | None:
    """Statistics behind an operator that keeps channels, or pads as many on both sides."""
    before, after = graph.tensors[source].shape[-1], graph.tensors[target].shape[-1]
    if before == after:
        return spread
    more, odd = divmod(after - before, 2)
    if odd or more < 0:
        return None
    mean, variance = (np.pad(part, (more, more)) for part in spread)
    return mean, variance
