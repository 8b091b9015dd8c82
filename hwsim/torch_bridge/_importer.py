"""A graph being written from an exported program, and what handlers of torch's operators share."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from hwsim.errors import UnsupportedError
from hwsim.graph import Graph
from hwsim.graph.build import Builder
from hwsim.torch_bridge.quantizer import Quantizer

Array = NDArray[Any]
Handler = Callable[["Importer", fx.Node], None]
HANDLERS: dict[str, Handler] = {}
MARK = "hwsim.mark.default"
OF_SHAPE = ("aten.new_zeros.default", "aten.new_ones.default", "aten.zeros_like.default", "aten.ones_like.default")
"""Operators that read no values."""
LAYERS = ("conv2d", "depthwise_conv2d", "fully_connected")
FUSED = {"relu": "relu", "relu6": "relu6"}
FUSING = (*LAYERS, "add", "mul", "sub")


@dataclass
class Layer:
    """A layer whose weights a quantizer made.

    Parameters
    ----------
    quantizer : of the weights
    weights : what it quantizes, as torch lays it out
    turn : the axes of `weights` in the graph's order
    factor : float64 (channels,), what batch norm multiplies the quantized weights by
    """

    quantizer: Quantizer
    weights: Array
    turn: tuple[int, ...]
    factor: Array


class Importer:
    """A graph being written: which tensor each node of the exported program is.

    Tensors of four dimensions are images, kept as (batch, height, width, channels).

    Parameters
    ----------
    stored : the program's constants, by the name of their placeholder
    needed : the program's nodes that its results depend on
    quantizers : the module's, by their path in it

    `marks` are the tensors that a quantizer of activations made, `layers` the nodes whose weights one made; `sources`
    has, by a layer's weights in the graph, the program's node that they are from; `behind` has, by a tensor that is a
    layer's result only moved, the layer's node.
    """

    def __init__(
        self, builder: Builder, stored: dict[str, Array], needed: Collection[fx.Node], quantizers: dict[str, Quantizer]
    ) -> None:
        self.builder, self.stored, self.needed, self.quantizers = builder, stored, needed, quantizers
        self.values: dict[fx.Node, int] = {}
        self.outputs: tuple[int, ...] = ()
        self.marks: dict[int, Quantizer] = {}
        self.layers: dict[int, Layer] = {}
        self.sources: dict[int, fx.Node] = {}
        self.behind: dict[int, int] = {}
        self.quantized: dict[str, tuple[Quantizer, Array]] = {}

    def place(self, node: fx.Node) -> str:
        """The last line of the module's source that led to `node`."""
        trace = (node.meta.get("stack_trace") or "").strip().splitlines()
        return " ".join(line.strip() for line in trace[-2:]) or node.name

    def refuse(self, node: fx.Node, why: str) -> UnsupportedError:
        """The error for something that hwsim cannot say."""
        return UnsupportedError(f"{self.place(node)}: {why}")

    def add_input(self, node: fx.Node) -> None:
        """An input of the module."""
        value = node.meta["val"]
        if str(value.dtype) != "torch.float32":
            raise self.refuse(node, f"input {node.name!r} is {value.dtype}; expected torch.float32")
        self.values[node] = self.builder.input(node.name, channels_last(value.shape))

    def finish(self, results: Sequence[fx.Node]) -> None:
        """The module's outputs; nodes that they do not depend on, as moves that others undid, are dropped."""
        self.outputs = tuple(self.value(node) for node in results)
        read, kept = set(self.outputs), list[int]()
        for place in reversed(range(len(self.builder.nodes))):
            node = self.builder.nodes[place]
            if read.intersection(node.outputs):
                read.update(node.inputs)
                kept.insert(0, place)
        self.layers = {kept.index(place): layer for place, layer in self.layers.items() if place in kept}
        self.builder.nodes = [self.builder.nodes[place] for place in kept]

    def graph(self) -> Graph:
        """What was imported."""
        return self.builder.graph(*self.outputs)

    def is_constant(self, argument: Any) -> bool:
        """Whether `argument` is a parameter, a buffer or a plain number."""
        return not isinstance(argument, fx.Node) or argument.name in self.stored

    def folds(self, node: fx.Node) -> bool:
        """Whether `node` depends on constants alone; torch computes it then, in place where it does that."""
        parts = node.all_input_nodes
        if str(node.target) in OF_SHAPE:
            values: Any = [torch.empty(parts[0].meta["val"].shape), *node.args[1:]], {}
        elif str(node.target) == MARK or any(p.name in self.quantized or p.name not in self.stored for p in parts):
            return False
        else:
            values = fx.map_arg((node.args, node.kwargs), lambda part: torch.from_numpy(self.stored[part.name]))
        found = node.target(*values[0], **values[1])  # type: ignore[operator]
        if not isinstance(found, torch.Tensor):
            return False
        self.stored[node.name] = found.detach().numpy()
        return True

    def array(self, argument: Any) -> Array | None:
        """The value of a constant argument, None for none."""
        if argument is None:
            return None
        if isinstance(argument, fx.Node):
            if argument.name not in self.stored:
                raise self.refuse(argument, f"{argument.name!r} is computed; hwsim takes constants here")
            return self.stored[argument.name]
        return np.asarray(argument, np.float32)

    def value(self, argument: Any) -> int:
        """The tensor of an argument; constants of four dimensions turn as images do."""
        if isinstance(argument, fx.Node) and argument in self.values:
            return self.values[argument]
        data = self.array(argument)
        assert data is not None
        if data.ndim == 4:
            data = data.transpose(0, 2, 3, 1)
        label = argument.name if isinstance(argument, fx.Node) else "number"
        index = self.builder.constant(label, data.astype(np.float32))
        if isinstance(argument, fx.Node):
            self.values[argument] = index
        return index

    def broadcast(self, argument: Any, rank: int) -> int:
        """The tensor of an argument that meets one of `rank` dimensions: images need all four to turn."""
        source = self.value(argument)
        shape = self.builder.shape(source)
        if rank != 4 or len(shape) in (0, 4):
            return source
        return turned(self, reshaped(self, source, (1,) * (4 - len(shape)) + shape, "wider"), "wide")

    def add(self, node: fx.Node, op: str, inputs: Sequence[int], **attributes: Any) -> None:
        """`node` as one of hwsim's operators."""
        shape = channels_last(node.meta["val"].shape)
        self.values[node] = self.builder.node(op, inputs, shape, node.name, **attributes)

    def same(self, node: fx.Node, argument: fx.Node) -> None:
        """`node` is `argument` unchanged."""
        self.values[node] = self.value(argument)

    def only_reader(self, argument: fx.Node, node: fx.Node) -> bool:
        """Whether nobody but `node` reads `argument`, under any name that the program has for it."""
        place = self.values[argument]
        names = [name for name, index in self.values.items() if index == place]
        users = {user for name in names for user in name.users if user in self.needed}
        return {user for user in users if self.values.get(user) != place} == {node}

    def layer_of(self, index: int) -> int | None:
        """The layer behind moves, or the last node, that computes a tensor."""
        last = len(self.builder.nodes) - 1
        usual = last if last >= 0 and self.builder.nodes[last].outputs == (index,) else None
        return self.behind.get(index, usual)

    def quantizer_of(self, node: fx.Node) -> Quantizer:
        """The quantizer in whose code `node` is."""
        path, _ = list(node.meta["nn_module_stack"].values())[-1]
        return self.quantizers[path]


def handles(*targets: str) -> Callable[[Handler], Handler]:
    """Registers a handler of operators by their names, as `str(node.target)` has them."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(targets, handler))
        return handler

    return register


def channels_last(shape: Sequence[int]) -> tuple[int, ...]:
    """(batch, channels, height, width) as (batch, height, width, channels); other shapes as they are."""
    sizes = tuple(int(size) for size in shape)
    return (sizes[0], sizes[2], sizes[3], sizes[1]) if len(sizes) == 4 else sizes


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """One number or one per axis, as (height, width)."""
    numbers = [value] if isinstance(value, int) else list(value)
    return (numbers[0], numbers[-1])


def argument(node: fx.Node, position: int, default: Any = None) -> Any:
    """A positional argument, or its default."""
    return node.args[position] if len(node.args) > position else default


def channels_first(to: Importer, source: int, name: str) -> int:
    """An image with its values in torch's order; where they are that already, the image itself."""
    _, height, width, channels = to.builder.shape(source)
    maker = to.builder.maker(source)
    moved = maker is not None and maker.op == "transpose"
    return source if not moved and (channels == 1 or height * width == 1) else unturned(to, source, name)


def unturned(to: Importer, source: int, name: str) -> int:
    """A tensor with its axes as torch has them: images turn back."""
    return transposed(to, source, (0, 3, 1, 2), f"{name}_chw") if len(to.builder.shape(source)) == 4 else source


def turned(to: Importer, source: int, name: str) -> int:
    """The inverse of `unturned`."""
    return transposed(to, source, (0, 2, 3, 1), name) if len(to.builder.shape(source)) == 4 else source


def reshaped(to: Importer, source: int, shape: Sequence[int], name: str) -> int:
    """`source` in another shape."""
    data, maker = to.builder.tensors[source].data, to.builder.maker(source)
    if data is not None:
        return to.builder.constant(name, data.reshape(shape))
    if maker is not None and maker.op == "reshape":
        source = maker.inputs[0]
    if to.builder.shape(source) == tuple(shape):
        return source
    where = to.builder.constant(f"{name}_shape", np.array(shape, np.int32))
    return to.builder.node("reshape", (source, where), shape, name)


def transposed(to: Importer, source: int, order: Sequence[int], name: str) -> int:
    """`source` with its axes in another order."""
    data, maker = to.builder.tensors[source].data, to.builder.maker(source)
    if data is not None:
        return to.builder.constant(name, data.transpose(order))
    if maker is not None and maker.op == "transpose":
        before = to.builder.tensors[maker.inputs[1]].data
        assert before is not None
        source, order = maker.inputs[0], [int(before[axis]) for axis in order]
    if list(order) == sorted(order):
        return source
    shape = [to.builder.shape(source)[axis] for axis in order]
    return to.builder.node(
        "transpose", (source, to.builder.constant(f"{name}_order", np.array(order, np.int32))), shape, name
    )


def row_image(to: Importer, source: int, name: str) -> int:
    """A signal (batch, channels, length) as an image (batch, 1, length, channels)."""
    turned_ = transposed(to, source, (0, 2, 1), f"{name}_turned")
    batch, length, channels = to.builder.shape(turned_)
    return reshaped(to, turned_, (batch, 1, length, channels), f"{name}_image")


def image_row(to: Importer, image: int, name: str) -> int:
    """The inverse of `row_image`."""
    batch, _, length, channels = to.builder.shape(image)
    return transposed(to, reshaped(to, image, (batch, length, channels), f"{name}_flat"), (0, 2, 1), f"{name}_row")
