"""What a network asks of a machine: one record of work per operator, whatever machine it is."""

from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from hwsim.cost_models.dead_channels import live_channels
from hwsim.errors import GraphError, InputError, UnsupportedError
from hwsim.graph import Graph, Grouped, Levels, NodeView, Tensor
from hwsim.ops import operators
from hwsim.simulate.arena import plan

Size = tuple[int, int, int]
"""Height, width, channels."""

WEIGHTED = ("conv2d", "depthwise_conv2d", "fully_connected", "transpose_conv", "batch_matmul")
FREE = ("reshape", "squeeze", "expand_dims")
"""Operators that move nothing: their output lies where their input lay."""


@dataclass(frozen=True, slots=True)
class Table:
    """Levels that codes stand for.

    Parameters
    ----------
    kind : 'binary' (-1, 1), 'ternary' (-1, 0, 1), 'levels', 'product': vectors of weights, or 'grouped': no table but
        integers that runs of codes are multiplied by
    bits : of a level, sign included: what a multiplier must take
    terms : powers of two in the level with most of them; 0 where levels are no integers
    size_bytes : of the tables of all slices
    vector, code_bits : weights that one code stands for, and its bits, of 'product'; a weight is the sum of what the
        codes of all stages stand for
    """

    kind: str
    bits: int
    terms: int
    size_bytes: int
    vector: int = 1
    code_bits: int = 0

    def stages(self, weight_bits: int) -> int:
        """Codes that a vector of `weight_bits` per weight consists of; 1 but for 'product'."""
        return weight_bits * self.vector // self.code_bits if self.code_bits else 1

    @classmethod
    def of(cls, form: Levels) -> "Table":
        """The table of a tensor."""
        levels, size_bytes = form.table, form.stored_table.nbytes
        if levels.dtype.kind == "f":
            return cls("levels", 32, 0, size_bytes)
        kind = {(-1, 1): "binary", (-1, 0, 1): "ternary"}.get(tuple(np.unique(levels).tolist()), "levels")
        low, high = int(levels.min()), int(levels.max())
        bits = max(high.bit_length() + (low < 0), (-low - 1).bit_length() + 1 if low < 0 else 1)
        return cls(kind, bits, max(abs(level).bit_count() for level in levels.ravel().tolist()), size_bytes)


@dataclass(frozen=True, slots=True)
class Work:
    """One operator applied once.

    Parameters
    ----------
    name : of the node
    op : hwsim's name of the operator
    input_size, output_size : of the first input and output; 1 where there are fewer dimensions
    kernel, stride : height and width
    groups : of a convolution; a depthwise one has as many as input channels
    macs : multiply-accumulates
    weights : how many weights it reads
    weight_bits, activation_bits : their widths
    bias_bytes : of biases, multipliers and shifts
    other_elements : elements of further computed inputs
    batch : images
    live_channels : input and output channels that count (`dead_channels`); None where all do, or nobody looked
    weight_table, activation_table : what codes of weights, of the first input stand for; None where they are multiplied
        as they are
    """

    name: str
    op: str
    input_size: Size
    output_size: Size
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    groups: int = 1
    macs: int = 0
    weights: int = 0
    weight_bits: int = 8
    activation_bits: int = 8
    bias_bytes: int = 0
    other_elements: int = 0
    batch: int = 1
    live_channels: tuple[int, int] | None = None
    weight_table: Table | None = None
    activation_table: Table | None = None

    @property
    def multiplied_bits(self) -> tuple[int, int]:
        """Widths of what is multiplied, weights and activations: of levels where there are tables, else of codes."""
        weights, activations = self.weight_table, self.activation_table
        return weights.bits if weights else self.weight_bits, activations.bits if activations else self.activation_bits

    @property
    def inputs(self) -> int:
        """Elements of the first input."""
        return self.batch * prod(self.input_size)

    @property
    def outputs(self) -> int:
        """Elements of the output."""
        return self.batch * prod(self.output_size)

    @property
    def input_bytes(self) -> float:
        """Bytes of all computed inputs."""
        return (self.inputs + self.other_elements) * self.activation_bits / 8

    @property
    def output_bytes(self) -> float:
        """Bytes of the output."""
        return self.outputs * self.activation_bits / 8

    @property
    def weight_bytes(self) -> float:
        """Bytes of weights, their table, biases and what belongs to them."""
        table = self.weight_table.size_bytes if self.weight_table else 0
        return self.weights * self.weight_bits / 8 + table + self.bias_bytes

    @property
    def is_depthwise(self) -> bool:
        """Whether every input channel has filters of its own."""
        return self.groups > 1 and self.groups == self.input_size[2]

    @property
    def taps_inside(self) -> tuple[int, int]:
        """Lines of the kernel inside the image over all output rows, and columns over all output columns.

        Zero padding is taken to be as even on both sides as can be, as TFLite's SAME is.
        """
        down, across = (
            sum(max(0, min(taps, size - start) - max(0, -start)) for start in range(-before, out * step - before, step))
            for size, out, taps, step, before in (self._axis(0), self._axis(1))
        )
        return down, across

    def _axis(self, axis: int) -> tuple[int, int, int, int, int]:
        size, out, taps, step = self.input_size[axis], self.output_size[axis], self.kernel[axis], self.stride[axis]
        return size, out, taps, step, max((out - 1) * step + taps - size, 0) // 2

    @property
    def gemm(self) -> tuple[int, int, int]:
        """(m, k, n) of each group's matrix product: output positions, taps, filters."""
        positions = self.batch * self.output_size[0] * self.output_size[1]
        filters = max(self.output_size[2] // self.groups, 1)
        return positions, max(self.macs // max(positions * filters * self.groups, 1), 1), filters

    def without_dead(self) -> "Work":
        """The work that is left where dead channels are dropped."""
        if self.live_channels is None or self.live_channels == (self.input_size[2], self.output_size[2]):
            return self
        inputs, outputs = self.live_channels
        kept = outputs / self.output_size[2]
        share = kept if self.is_depthwise else kept * inputs / self.input_size[2]
        return replace(
            self,
            input_size=(*self.input_size[:2], inputs),
            output_size=(*self.output_size[:2], outputs),
            groups=outputs if self.is_depthwise else self.groups,
            macs=round(self.macs * share),
            weights=round(self.weights * share),
            bias_bytes=round(self.bias_bytes * kept),
            live_channels=None,
        )


@dataclass(frozen=True, slots=True)
class Network:
    """The work of a network, in order.

    Parameters
    ----------
    name : for titles
    works : one per operator
    live_bytes : activations alive while each runs
    arena_bytes : peak of activations as the planner places them; a lower bound where `arena_exact` is False, as a
        table of layers does not say which tensors outlive their neighbors
    flash_bytes : of all constants
    graph : where it is from; None for a table of layers
    """

    name: str
    works: tuple[Work, ...]
    live_bytes: tuple[int, ...]
    arena_bytes: int
    flash_bytes: int
    arena_exact: bool = True
    graph: Graph | None = field(default=None, repr=False)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one run."""
        return sum(work.macs for work in self.works)


def network_of(graph: Graph) -> Network:
    """The work of `graph`, its arena as planned, and the bytes of its constants."""
    views = [NodeView(graph, node) for node in graph.nodes]
    for view in views:
        _check(view)
    arena = plan(graph)
    live = [0] * len(graph.nodes)
    for place in arena.places.values():
        for position in range(max(place.first, 0), min(place.last, len(live) - 1) + 1):
            live[position] += place.size_bytes
    constants = sum(tensor.stored_bytes for tensor in graph.tensors if tensor.data is not None)
    works = tuple(_work(view, channels) for view, channels in zip(views, live_channels(graph), strict=True))
    return Network(graph.name, works, tuple(live), arena.size_bytes, constants, graph=graph)


def _check(view: NodeView) -> None:
    """ShapeError where shapes and options contradict each other; what no engine runs may have work nonetheless."""
    op = operators().get(view.node.op)
    with suppress(UnsupportedError):
        if op is not None:
            op.check(view)


def chain(name: str, works: tuple[Work, ...]) -> Network:
    """A network known by its layers alone."""
    if not works:
        raise InputError(f"{name}: has no layers; expected at least one")
    live = tuple(int(work.input_bytes + work.output_bytes) for work in works)
    return Network(name, works, live, max(live), int(sum(work.weight_bytes for work in works)), arena_exact=False)


def _work(view: NodeView, live: tuple[int, int]) -> Work:
    op = operators().get(view.node.op)
    first, out = view.optional(0), view.outputs[0] if view.outputs else None
    if first is None or out is None:
        raise GraphError(f"{view.label}: has no input or no output; its work is unknown")
    others = [t for t in view.inputs[1:] if t is not None and t.data is None]
    constants = [t for t in view.inputs[1:] if t is not None and t.data is not None]
    weighted = view.node.op in WEIGHTED and constants
    weights = constants[0] if weighted else None
    return Work(
        name=view.node.name,
        op=view.node.op,
        input_size=_size(first),
        output_size=_size(out),
        kernel=_kernel(view, weights),
        stride=_pair(view, "stride"),
        groups=_groups(view, weights),
        macs=op.macs(view) if op else 0,
        weights=prod(weights.shape) if weights else 0,
        weight_bits=_bits(weights) if weights else 8,
        activation_bits=_bits(first),
        bias_bytes=sum(tensor.size_bytes for tensor in constants[1:]) if weighted else 0,
        other_elements=sum(prod(tensor.shape) for tensor in others),
        live_channels=live,
        weight_table=_table(weights),
        activation_table=_table(first),
    )


def _size(tensor: Tensor) -> Size:
    """The last three dimensions; leading ones join the height."""
    *leading, height, width, channels = (1, 1, 1, *tensor.shape)
    return prod(leading) * height if len(tensor.shape) > 3 else height, width, channels


def _bits(tensor: Tensor) -> int:
    return getattr(tensor.format, "bits", None) or np.dtype(tensor.dtype).itemsize * 8


def _table(tensor: Tensor | None) -> Table | None:
    form = tensor.format if tensor is not None else None
    if isinstance(form, Grouped):
        largest = int(form.multipliers.max(initial=1)) * ((1 << (form.bits - 1)) - 1)
        return Table("grouped", largest.bit_length() + 1, 0, form.multipliers.nbytes)
    return Table.of(form) if isinstance(form, Levels) else None


def _kernel(view: NodeView, weights: Tensor | None) -> tuple[int, int]:
    if weights is not None and len(weights.shape) == 4:
        return weights.shape[1], weights.shape[2]
    return _pair(view, "filter")


def _pair(view: NodeView, what: str) -> tuple[int, int]:
    return view.integer(f"{what}_h", 1), view.integer(f"{what}_w", 1)


def _groups(view: NodeView, weights: Tensor | None) -> int:
    channels = view.input(0).shape[-1] if view.input(0).shape else 1
    if view.node.op == "depthwise_conv2d":
        return channels
    if view.node.op == "conv2d" and weights is not None and weights.shape[-1]:
        return channels // weights.shape[-1]
    return 1
