"""A layer with weights as one matrix product per group: what layer-wise methods see of it.

Convolutions have as many groups as they are divided into, depthwise ones one for each input channel, fully connected
layers one. A channel of the output is group * (outputs of a group) + its place in the group, for all of them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph import Affine, Graph, NodeView
from hwsim.ops._base import merge_batch
from hwsim.ops._float import taps
from hwsim.ops._window import window
from hwsim.ptq.adjoint import untaps
from hwsim.ptq.formats import decoded
from hwsim.ptq.lower import WEIGHTED, Weights

Reals = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution, depthwise convolution or fully connected layer of a float graph.

    Parameters
    ----------
    view : the node and its tensors
    groups, outputs, depth : matrix products, output channels of each, and values that each output sums
    """

    view: NodeView
    groups: int
    outputs: int
    depth: int

    @classmethod
    def of(cls, graph: Graph, index: int) -> "Layer":
        """The layer at node `index`; InputError where its weights are not float32 constants."""
        view = NodeView(graph, graph.nodes[index])
        weights = view.input(1)
        if weights.data is None or weights.dtype != "float32":
            raise InputError(f"{view.label}: its weights are not float32 constants; quantize a float network")
        if view.node.op == "depthwise_conv2d":
            channels = view.input(0).shape[3]
            return cls(view, channels, weights.shape[3] // channels, weights.shape[1] * weights.shape[2])
        depth = int(np.prod(weights.shape[1:]))
        groups = view.input(0).shape[3] // weights.shape[3] if view.node.op == "conv2d" else 1
        return cls(view, groups, weights.shape[0] // groups, depth)

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.groups * self.outputs

    @property
    def axis(self) -> int:
        """The axis of the weights that output channels run along."""
        return WEIGHTED[self.view.node.op]

    @property
    def weights(self) -> Reals:
        """The real weights as `matrix` gives them."""
        return self.matrix(self.view.constant(1))

    @property
    def bias(self) -> Reals:
        """The real bias (channels,), zeros where there is none."""
        if self.view.optional(2) is None:
            return np.zeros(self.channels, np.float32)
        bias: Reals = self.view.constant(2).reshape(-1)
        return bias

    def matrix(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Weights (or their codes) of the graph's shape as (groups, outputs, depth)."""
        if self.view.node.op == "depthwise_conv2d":
            return weights.reshape(self.depth, self.groups, self.outputs).transpose(1, 2, 0)
        return weights.reshape(self.groups, self.outputs, self.depth)

    def array(self, matrix: NDArray[Any]) -> NDArray[Any]:
        """The inverse of `matrix`."""
        shape = self.view.input(1).shape
        if self.view.node.op == "depthwise_conv2d":
            return np.ascontiguousarray(matrix.transpose(2, 0, 1)).reshape(shape)
        return matrix.reshape(shape)

    def row_count(self, samples: int) -> int:
        """How many rows `rows` gives for so many samples."""
        return samples * int(np.prod(self.view.output().shape)) // self.channels

    def rows(self, values: Reals, pick: NDArray[np.int64] | None = None) -> Reals:
        """What each output sums: input (samples, *declared shape) as (groups, rows, depth).

        pick : ascending numbers of the rows that are wanted, all where None
        """
        if self.view.node.op == "fully_connected":
            rows = values.reshape(1, -1, self.depth)
            return rows if pick is None else rows[:, pick]
        _, height, width, _ = self.view.input(1).shape
        place = window(self.view, height, width)
        parts = taps(merge_batch(values), place, 0.0)
        count = self.row_count(len(values)) if pick is None else len(pick)
        along = self.depth // (height * width)
        rows = np.empty((self.groups, count, height * width, along), np.float32)
        at = (
            None
            if pick is None
            else np.unravel_index(pick, (pick.max(initial=0) // (place[1] * place[2]) + 1, *place[1:]))
        )
        for tap, part in enumerate(parts):
            taken = part if at is None else part[at]
            rows[:, :, tap] = taken.reshape(count, self.groups, along).transpose(1, 0, 2)
        return rows.reshape(self.groups, count, self.depth)

    def grouped(self, values: NDArray[Any]) -> NDArray[Any]:
        """Output (..., channels) as (groups, rows, outputs)."""
        return values.reshape(-1, self.groups, self.outputs).transpose(1, 0, 2)

    def images(self, rows: Reals, samples: int) -> Reals:
        """The adjoint of `rows`: what belongs to the same input value is summed, (samples, *declared shape)."""
        shape = self.view.input(0).shape
        if self.view.node.op == "fully_connected":
            return rows.reshape(samples, *shape)
        _, height, width, _ = self.view.input(1).shape
        place = window(self.view, height, width)
        parts = rows.reshape(self.groups, rows.shape[1], height * width, -1).transpose(2, 1, 0, 3)
        out = samples * shape[0], place[1], place[2], shape[3]
        return untaps([part.reshape(out) for part in parts], place, (shape[1], shape[2])).reshape(samples, *shape)


def real_weights(layer: Layer, weights: Weights) -> NDArray[np.float64]:
    """What the codes of a layer stand for, (groups, outputs, depth) float64."""
    form = weights.format
    if isinstance(form, Affine):
        scale = np.broadcast_to(form.scale.astype(np.float64), layer.channels).reshape(layer.groups, layer.outputs, 1)
        return layer.matrix(weights.codes).astype(np.float64) * scale
    return layer.matrix(decoded(weights)).astype(np.float64)
