"""How wide the sum of every layer can get: what its weights guarantee, and what inputs made of it.

A layer sums (input - input_zero_point) * (weight - weight_zero_point) and the bias. For each output channel the sum of
its positive terms at their largest bounds every partial sum from above, that of the negative ones from below; padding
adds nothing. So an accumulator of `bits` holds every partial sum in any order, and one bit less does not. (Of a
TRANSPOSE_CONV the taps that never meet in one sum are counted as if they did: one bit less may do.) Where both factors
of a BATCH_MATMUL are activations, every product is bounded by the extremes of both; what is seen of it is not followed.

Seen are the whole sums, which are all that counts where an accumulator wraps, and the partial ones in the order of
`kernels.narrow`, which count where it saturates: bias first, then products in the order in which weights lie.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Engine
from hwsim.errors import HwsimError
from hwsim.graph import Graph, Levels, NodeView, Tensor
from hwsim.ops import operators
from hwsim.ops._accumulating import REDUCED_INT64, SUMS_INT64, Accumulating, bias_or_zeros, centered_weights, places
from hwsim.ops._base import Op, code_limits
from hwsim.ops._tables import read_levels

PAIRS = "int16_pairs"
PAIR_BITS = 16
SIGN = 128


@dataclass(frozen=True, slots=True, eq=False)
class Range:
    """The smallest and largest of numbers, for each output channel.

    Parameters
    ----------
    lows, highs : int64 (channels,); of a BATCH_MATMUL the columns of all its constant matrices
    """

    lows: NDArray[np.int64]
    highs: NDArray[np.int64]

    @property
    def low(self) -> int:
        """The smallest number of all channels, or 0."""
        return int(self.lows.min(initial=0))

    @property
    def high(self) -> int:
        """The largest number of all channels, or 0."""
        return int(self.highs.max(initial=0))

    @property
    def bits(self) -> int:
        """The narrowest two's complement integer that holds all of them."""
        return 1 + max(self.high.bit_length(), (-self.low - 1).bit_length() if self.low < 0 else 0)


@dataclass(frozen=True, slots=True, eq=False)
class Accumulator:
    """The sum of one layer.

    Parameters
    ----------
    node : the layer's name
    op : its operator
    index : its place among the graph's nodes
    input_bits : of the dtype of its activations, 8 or 16
    bound : no partial sum leaves these, whatever the input and the order, bias included
    width : bits in which the engine sums; None where no engine was named
    pairs : no pair of neighbouring products leaves these, where the engine adds such pairs in int16
    total, running : whole sums, and partial sums, of the inputs that were run
    pairs_seen : of those inputs
    """

    node: str
    op: str
    index: int
    input_bits: int
    bound: Range
    width: int | None = None
    pairs: Range | None = None
    total: Range | None = None
    running: Range | None = None
    pairs_seen: Range | None = None

    @property
    def low(self) -> int:
        """No partial sum of any channel is less."""
        return self.bound.low

    @property
    def high(self) -> int:
        """No partial sum of any channel is more."""
        return self.bound.high

    @property
    def bits(self) -> int:
        """The smallest safe width: it holds every partial sum of every input."""
        return self.bound.bits

    @property
    def seen_bits(self) -> int | None:
        """The smallest width that held every partial sum of the inputs that were run; None where none were."""
        return None if self.running is None else self.running.bits

    @property
    def wrapping_bits(self) -> int | None:
        """The smallest width at which sums that wrap came out right on these inputs; None where none were run."""
        return None if self.total is None else self.total.bits


def guaranteed(graph: Graph, engine: Engine | None = None) -> list[Accumulator]:
    """The guaranteed range of the sum of every layer with constant weights and of every matrix product, in order.

    engine : adds the width in which it sums each layer, and of x86 without VNNI the range of pairs; a layer that it
        cannot run stays without
    """
    return list(_found(graph, engine))


def by_channel(view: NodeView) -> NDArray[np.int16]:
    """The weights without their zero points, (taps, channels)."""
    weights = centered_weights(view)
    if view.node.op == "depthwise_conv2d":
        return weights.reshape(-1, weights.shape[-1])
    if view.node.op == "batch_matmul":
        matrices = weights if view.attributes.get("adj_y") else weights.swapaxes(-1, -2)
        return matrices.reshape(-1, matrices.shape[-1]).T
    return weights.reshape(weights.shape[0], -1).T


def activations(view: NodeView) -> Tensor:
    """What a layer multiplies with its weights."""
    return view.input(places(view)[0])


def of_activations(view: NodeView) -> bool:
    """Whether a matrix product's second factor is computed as well."""
    return view.node.op == "batch_matmul" and not view.input(1).is_constant


def lift(data: Tensor) -> int:
    """What a machine that multiplies uint8 by int8 adds to the values of `data` without their zero point."""
    if isinstance(data.format, Levels):
        return SIGN if read_levels(data)[0] < 0 else 0
    return data.zero_point + (SIGN if data.dtype == "int8" else 0)


def _found(graph: Graph, engine: Engine | None) -> Iterator[Accumulator]:
    for index, node in enumerate(graph.nodes):
        view, op = NodeView(graph, node), operators().get(node.op)
        if not isinstance(op, Accumulating) or activations(view).format is None:
            continue
        try:
            data = activations(view)
            bits = 8 * np.dtype(data.dtype).itemsize
            weights = None if of_activations(view) else by_channel(view)
            bound = _product_bound(view) if weights is None else _bound(view, weights, _values(data))
            found = Accumulator(node.name, node.op, index, bits, bound)
        except HwsimError:
            continue
        yield found if engine is None else _under(engine, op, view, weights, found)


def _product_bound(view: NodeView) -> Range:
    """Of a product of two activations: every product is bounded by the extremes of both."""
    depth = view.input(0).shape[-2 if view.attributes.get("adj_x") else -1]
    products = [a * b for a in _values(view.input(0)) for b in _values(view.input(1))]
    return Range(np.array([depth * min(*products, 0)]), np.array([depth * max(*products, 0)]))


def _bound(view: NodeView, weights: NDArray[np.int16], values: tuple[int, int]) -> Range:
    """The smallest and largest partial sums of each channel."""
    smallest, largest = min(values[0], 0), max(values[1], 0)
    bias = bias_or_zeros(view, weights.shape[1], REDUCED_INT64)
    positive = np.maximum(weights, 0).sum(axis=0, dtype=np.int64)
    negative = np.minimum(weights, 0).sum(axis=0, dtype=np.int64)
    lows = positive * smallest + negative * largest + np.minimum(bias, 0)
    return Range(lows, positive * largest + negative * smallest + np.maximum(bias, 0))


def _under(
    engine: Engine, op: Op, view: NodeView, weights: NDArray[np.int16] | None, found: Accumulator
) -> Accumulator:
    """`found` with how the engine forms the sum."""
    try:
        rule = op.rule(engine, view)
    except HwsimError:
        return found
    found = replace(found, width=64 if rule.accumulator == SUMS_INT64 else 32)
    if rule.accumulator != PAIRS or weights is None:
        return found
    return replace(found, pairs=_pairs(weights, activations(view)))


def _pairs(weights: NDArray[np.int16], data: Tensor) -> Range:
    """The smallest and largest sums of two neighbouring products; the last of an odd number stands alone."""
    ends = np.array(_values(data), np.int64) + lift(data)
    products = ends[:, None, None] * np.pad(weights, ((0, len(weights) % 2), (0, 0)))
    pairs = [end[0::2] + end[1::2] for end in (products.min(axis=0), products.max(axis=0))]
    return Range(pairs[0].min(axis=0, initial=0), pairs[1].max(axis=0, initial=0))


def _values(data: Tensor) -> tuple[int, int]:
    """The smallest and largest value that a layer multiplies for a code of `data`."""
    if isinstance(data.format, Levels):
        levels = read_levels(data)
        return int(levels[0]), int(levels[-1])
    low, high = code_limits(data)
    return low - data.zero_point, high - data.zero_point
