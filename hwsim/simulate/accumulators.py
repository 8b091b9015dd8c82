"""How wide the sum of every layer can get: what its weights guarantee, whatever the input, and in whatever order.

A layer sums (input - input_zero_point) * (weight - weight_zero_point) and the bias. For each output channel the sum of
its positive terms at their largest bounds every partial sum from above, that of the negative ones from below; padding
adds nothing. So an accumulator of `bits` holds every partial sum in any order, and one bit less does not. (Of a
TRANSPOSE_CONV the taps that never meet in one sum are counted as if they did: one bit less may do.) Where both factors
of a BATCH_MATMUL are activations, every product is bounded by the extremes of both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.graph import Graph, Levels, NodeView, Tensor
from hwsim.ops import operators
from hwsim.ops._accumulating import REDUCED_INT64, Accumulating, bias_or_zeros, centered_weights, places
from hwsim.ops._base import code_limits
from hwsim.ops._tables import read_levels


@dataclass(frozen=True, slots=True)
class Accumulator:
    """The sum of one layer.

    Parameters
    ----------
    node : the layer's name
    op : its operator
    index : its place among the graph's nodes
    low, high : no partial sum of any channel leaves these, bias included
    bits : the narrowest two's complement integer that holds both
    """

    node: str
    op: str
    index: int
    low: int
    high: int

    @property
    def bits(self) -> int:
        """The narrowest two's complement integer that holds both limits."""
        return 1 + max(self.high.bit_length(), (-self.low - 1).bit_length() if self.low < 0 else 0)


def accumulators(graph: Graph) -> list[Accumulator]:
    """The guaranteed range of the sum of every layer with constant weights and of every matrix product, in order."""
    return list(_found(graph))


def _found(graph: Graph) -> Iterator[Accumulator]:
    for index, node in enumerate(graph.nodes):
        view = NodeView(graph, node)
        if not isinstance(operators().get(node.op), Accumulating) or view.input(places(view)[0]).format is None:
            continue
        try:
            low, high = _range(view)
        except HwsimError:
            continue
        yield Accumulator(node.name, node.op, index, low, high)


def _range(view: NodeView) -> tuple[int, int]:
    """The smallest and largest partial sum over all channels."""
    data_at, _ = places(view)
    data = view.input(data_at)
    smallest, largest = _values(data)
    below, above = min(smallest, 0), max(largest, 0)
    if view.node.op == "batch_matmul" and not view.input(1).is_constant:
        depth = view.input(0).shape[-2 if view.attributes.get("adj_x") else -1]
        products = [a * b for a in (below, above) for b in _values(view.input(1))]
        return depth * min(*products, 0), depth * max(*products, 0)
    weights = _by_channel(view)
    bias = bias_or_zeros(view, weights.shape[1], REDUCED_INT64)
    positive = np.maximum(weights, 0).sum(axis=0, dtype=np.int64)
    negative = np.minimum(weights, 0).sum(axis=0, dtype=np.int64)
    high = positive * above + negative * below + np.maximum(bias, 0)
    low = positive * below + negative * above + np.minimum(bias, 0)
    return int(low.min(initial=0)), int(high.max(initial=0))


def _values(data: Tensor) -> tuple[int, int]:
    """The smallest and largest value that a layer multiplies for a code of `data`."""
    if isinstance(data.format, Levels):
        levels = read_levels(data)
        return int(levels[0]), int(levels[-1])
    low, high = code_limits(data)
    return low - data.zero_point, high - data.zero_point


def _by_channel(view: NodeView) -> NDArray[np.int16]:
    """The weights without their zero points, (taps, channels)."""
    weights = centered_weights(view)
    if view.node.op == "depthwise_conv2d":
        return weights.reshape(-1, weights.shape[-1])
    if view.node.op == "batch_matmul":
        matrices = weights if view.attributes.get("adj_y") else weights.swapaxes(-1, -2)
        return matrices.reshape(-1, matrices.shape[-1]).T
    return weights.reshape(weights.shape[0], -1).T
