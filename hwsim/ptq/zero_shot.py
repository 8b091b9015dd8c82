"""Zero-shot calibration: samples distilled from batch norm's statistics, where no data may be used.

Noise is moved until every layer's outputs have the means and standard deviations that batch norm recorded in training.

Source: Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework (CVPR 2020), section 3.1.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError, unknown
from hwsim.graph import Graph
from hwsim.ptq.calibration import check_float
from hwsim.ptq.gradient import Differentiable

Reals = NDArray[np.float32]
Statistics = Mapping[str, tuple[NDArray[np.floating], NDArray[np.floating]]]
"""By layer name: mean and standard deviation (channels,) of its output before the activation function."""


def distilled(
    graph: Graph,
    statistics: Statistics,
    *,
    samples: int = 32,
    steps: int = 100,
    rate: float = 0.1,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Reals:
    """Samples (samples, ...) whose layers' outputs have `statistics`; the graph has one input of batch 1.

    Raises
    ------
    InputError : for statistics that fit no layer, or another graph
    UnsupportedError : where an operator has no gradient here
    """
    check_float(graph)
    if len(graph.inputs) != 1 or graph.tensors[graph.inputs[0]].shape[:1] != (1,):
        raise InputError(f"graph {graph.name!r} has {len(graph.inputs)} inputs; distillation needs one, of batch 1")
    wanted = _by_node(graph, statistics)
    network = Differentiable(graph, None, tuple(graph.nodes[i].outputs[0] for i in sorted(wanted)))
    source = graph.inputs[0]
    x = np.random.default_rng(seed).normal(0, 1, (samples, *graph.tensors[source].shape)).astype(np.float32)
    first, second = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, steps + 1):
        network.forward({source: x})
        slopes = {i: _slope(network.before[i], *wanted[i]) for i in wanted}
        slope = network.backward({}, slopes)[0][source]
        first = np.float32(0.9) * first + np.float32(0.1) * slope
        second = np.float32(0.999) * second + np.float32(0.001) * slope**2
        pace = rate * 0.5 * (1 + np.cos(np.pi * (step - 1) / steps)) / (1 - 0.9**step)
        x -= (pace * first / (np.sqrt(second / (1 - 0.999**step)) + 1e-20)).astype(np.float32)
        if progress is not None:
            progress(1)
    return x.reshape(samples, *graph.tensors[source].shape[1:])


def distance(graph: Graph, statistics: Statistics, x: Reals) -> float:
    """What `distilled` makes small: the mean over layers of the squared distance in means and standard deviations."""
    wanted = _by_node(graph, statistics)
    network = Differentiable(graph, None, tuple(graph.nodes[i].outputs[0] for i in sorted(wanted)))
    source = graph.inputs[0]
    network.forward({source: x.reshape(len(x), *graph.tensors[source].shape)})
    total = 0.0
    for i, (mean, spread) in wanted.items():
        flat = network.before[i].reshape(-1, len(mean))
        total += float(((flat.mean(0) - mean) ** 2).mean() + ((flat.std(0) - spread) ** 2).mean())
    return total / len(wanted)


def _slope(values: Reals, mean: Reals, spread: Reals) -> Reals:
    """The gradient of the squared distance of one layer, the mean over its channels."""
    flat = values.reshape(-1, len(mean))
    middle, width = flat.mean(0), np.maximum(flat.std(0), np.float32(1e-6))
    scale = np.float32(2 / flat.size)
    slope: Reals = scale * ((middle - mean) + (width - spread) * (flat - middle) / width)
    return slope.reshape(values.shape)


def _by_node(graph: Graph, statistics: Statistics) -> dict[int, tuple[Reals, Reals]]:
    names = {node.name: i for i, node in enumerate(graph.nodes)}
    found = {}
    for name, (mean, spread) in statistics.items():
        if name not in names:
            raise InputError(unknown("layer", name, names))
        channels = graph.tensors[graph.nodes[names[name]].outputs[0]].shape[-1]
        pair = np.asarray(mean, np.float32), np.asarray(spread, np.float32)
        if any(p.shape != (channels,) or not np.isfinite(p).all() for p in pair):
            raise InputError(f"layer {name!r}: statistics must be {channels} finite means and standard deviations")
        found[names[name]] = pair
    if not found:
        raise InputError("no statistics; distillation needs the means and standard deviations of batch norm")
    return found
