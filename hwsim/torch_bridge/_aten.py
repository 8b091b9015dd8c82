"""Torch's operators as hwsim's, one handler each."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import fx

from hwsim.errors import UnsupportedError
from hwsim.graph import Graph
from hwsim.graph.build import ABSENT, Builder

Array = NDArray[Any]
Handler = Callable[["Importer", fx.Node], None]
HANDLERS: dict[str, Handler] = {}
FUSED = {"relu": "relu", "relu6": "relu6"}
FUSING = ("conv2d", "depthwise_conv2d", "fully_connected", "add", "mul", "sub")


class Importer:
    """A graph being written: which tensor each node of the exported program is.

    `images` are the tensors of four dimensions, kept as (batch, height, width, channels).
    """

    def __init__(self, builder: Builder, stored: dict[str, Array]) -> None:
        self.builder = builder
        self.stored = stored
        self.values: dict[fx.Node, int] = {}
        self.outputs: tuple[int, ...] = ()

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
        """The module's outputs."""
        self.outputs = tuple(self.value(node) for node in results)

    def graph(self) -> Graph:
        """What was imported."""
        return self.builder.graph(*self.outputs)

    def is_constant(self, argument: Any) -> bool:
        """Whether `argument` is a parameter, a buffer or a plain number."""
        return not isinstance(argument, fx.Node) or argument.name in self.stored

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

    def add(self, node: fx.Node, op: str, inputs: Sequence[int], **attributes: Any) -> None:
        """`node` as one of hwsim's operators."""
        shape = channels_last(node.meta["val"].shape)
        self.values[node] = self.builder.node(op, inputs, shape, node.name, **attributes)

    def same(self, node: fx.Node, argument: fx.Node) -> None:
        """`node` is `argument` unchanged."""
        self.values[node] = self.value(argument)

    def only_reader(self, argument: fx.Node, node: fx.Node) -> bool:
        """Whether nobody but `node` reads `argument`."""
        return set(argument.users) == {node}


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


@handles("aten.conv2d.default", "aten.conv2d.padding")
def _conv2d(to: Importer, node: fx.Node) -> None:
    weights, bias = to.array(node.args[1]), to.array(argument(node, 2))
    assert weights is not None
    stride, dilation = pair(argument(node, 3, 1)), pair(argument(node, 5, 1))
    groups = int(argument(node, 6, 1))
    source = to.value(node.args[0])
    channels = to.builder.shape(source)[3]
    window = [(size - 1) * step + 1 for size, step in zip(weights.shape[2:], dilation, strict=True)]
    source, padding = padded(to, node, source, window, stride, argument(node, 4, 0))
    depthwise = groups == channels and groups > 1
    taps = weights.transpose(1, 2, 3, 0) if depthwise else weights.transpose(0, 2, 3, 1)
    if groups > 1 and not depthwise:
        taps = weights.transpose(0, 2, 3, 1)
    inputs = [source, to.builder.constant(f"{node.name}_weight", taps)]
    inputs.append(
        to.builder.constant(f"{node.name}_bias", bias if bias is not None else np.zeros(len(weights), np.float32))
    )
    more = {"multiplier": len(weights) // groups} if depthwise else {}
    to.add(
        node, "depthwise_conv2d" if depthwise else "conv2d", inputs, padding=padding, stride_h=stride[0],
        stride_w=stride[1], dilation_h=dilation[0], dilation_w=dilation[1], activation="none", **more,
    )  # fmt: skip


def padded(
    to: Importer, node: fx.Node, source: int, window: Sequence[int], stride: tuple[int, int], padding: Any
) -> tuple[int, str]:
    """The input of a window, zeros added where torch's symmetric padding is not TFLite's 'same'; and the padding."""
    if padding == "valid" or (padding != "same" and pair(padding) == (0, 0)):
        return source, "valid"
    sizes = to.builder.shape(source)
    if padding == "same":
        return source, "same"
    before = pair(padding)
    tops = [same_padding(*sizes_) for sizes_ in zip(sizes[1:3], window, stride, strict=True)]
    if all(top == (pad, pad) for top, pad in zip(tops, before, strict=True)):
        return source, "same"
    borders = np.array([[0, 0], [before[0]] * 2, [before[1]] * 2, [0, 0]], np.int32)
    shape = (sizes[0], sizes[1] + 2 * before[0], sizes[2] + 2 * before[1], sizes[3])
    where = to.builder.constant(f"{node.name}_borders", borders)
    return to.builder.node("pad", (source, where), shape, f"{node.name}_pad"), "valid"


def same_padding(size: int, window: int, stride: int) -> tuple[int, int]:
    """TFLite's padding before and after along one axis."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


@handles("aten.linear.default")
def _linear(to: Importer, node: fx.Node) -> None:
    weights, bias = to.array(node.args[1]), to.array(argument(node, 2))
    assert weights is not None
    source = to.value(node.args[0])
    shape = to.builder.shape(source)
    if len(shape) != 2:
        rows = (prod(shape[:-1]), shape[-1])
        source = reshaped(to, source, rows, f"{node.name}_rows")
    inputs = [source, to.builder.constant(f"{node.name}_weight", weights)]
    inputs.append(
        to.builder.constant(f"{node.name}_bias", bias if bias is not None else np.zeros(len(weights), np.float32))
    )
    if len(shape) == 2:
        to.add(node, "fully_connected", inputs, activation="none")
        return
    flat = to.builder.node(
        "fully_connected", inputs, (prod(shape[:-1]), len(weights)), f"{node.name}_flat", activation="none"
    )
    to.values[node] = reshaped(to, flat, channels_last(node.meta["val"].shape), node.name)


@handles("aten.batch_norm.default")
def _batch_norm(to: Importer, node: fx.Node) -> None:
    gamma, beta, mean, variance = (to.array(node.args[i]) for i in range(1, 5))
    assert mean is not None and variance is not None
    root = np.sqrt(variance.astype(np.float64) + float(argument(node, 7, 1e-5)))
    factor = (1.0 if gamma is None else gamma) / root
    offset = (0.0 if beta is None else beta) - mean * factor
    source = node.args[0]
    assert isinstance(source, fx.Node)
    if not fold(to, source, node, factor, offset):
        scaled = to.builder.node(
            "mul", (to.value(source), to.builder.constant(f"{node.name}_factor", factor.astype(np.float32))),
            channels_last(node.meta["val"].shape), f"{node.name}_scaled", activation="none",
        )  # fmt: skip
        to.add(
            node,
            "add",
            (scaled, to.builder.constant(f"{node.name}_offset", offset.astype(np.float32))),
            activation="none",
        )


def fold(to: Importer, source: fx.Node, node: fx.Node, factor: Array, offset: Array) -> bool:
    """Whether the layer that computed `source` took in a factor and an offset per channel."""
    place = to.values.get(source)
    last = to.builder.nodes[-1] if to.builder.nodes else None
    if last is None or last.outputs != (place,) or last.op not in FUSING[:3] or not to.only_reader(source, node):
        return False
    weights, bias = (to.builder.tensors[i] for i in last.inputs[1:3])
    assert weights.data is not None and bias.data is not None
    axis = 3 if last.op == "depthwise_conv2d" else 0
    along = [-1 if i == axis else 1 for i in range(weights.data.ndim)]
    to.builder.replace_data(last.inputs[1], weights.data * factor.reshape(along))
    to.builder.replace_data(last.inputs[2], bias.data * factor + offset)
    to.values[node] = to.values[source]
    return True


@handles("aten.relu.default", "aten.relu_.default")
def _relu(to: Importer, node: fx.Node) -> None:
    activate(to, node, "relu")


@handles("aten.relu6.default", "aten.relu6_.default", "aten.hardtanh.default", "aten.hardtanh_.default")
def _relu6(to: Importer, node: fx.Node) -> None:
    ends = (0, 6) if "relu6" in str(node.target) else (argument(node, 1, -1.0), argument(node, 2, 1.0))
    if ends == (0, 6):
        activate(to, node, "relu6")
    elif ends == (-1, 1):
        to.add(node, "relu_n1_to_1", (to.value(node.args[0]),))
    else:
        raise to.refuse(node, f"hardtanh limits to {ends}; hwsim has 0 to 6 and -1 to 1")


def activate(to: Importer, node: fx.Node, name: str) -> None:
    """An activation, fused into the operator before it where nobody else reads that."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    place, last = to.value(source), to.builder.nodes[-1] if to.builder.nodes else None
    fusable = last is not None and last.op in FUSING and last.outputs == (place,)
    if fusable and last is not None and last.attributes.get("activation") == "none" and to.only_reader(source, node):
        to.builder.set_attributes(activation=name)
        to.values[node] = place
    else:
        to.add(node, name, (place,))


@handles("aten.hardswish.default", "aten.hardswish_.default")
def _hard_swish(to: Importer, node: fx.Node) -> None:
    to.add(node, "hard_swish", (to.value(node.args[0]),))


@handles("aten.sigmoid.default")
def _sigmoid(to: Importer, node: fx.Node) -> None:
    to.add(node, "logistic", (to.value(node.args[0]),))


@handles("aten.tanh.default")
def _tanh(to: Importer, node: fx.Node) -> None:
    to.add(node, "tanh", (to.value(node.args[0]),))


@handles("aten.gelu.default")
def _gelu(to: Importer, node: fx.Node) -> None:
    approximate = node.kwargs.get("approximate", "none") == "tanh"
    to.add(node, "gelu", (to.value(node.args[0]),), approximate=approximate)


@handles("aten.silu.default", "aten.silu_.default")
def _silu(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    gate = to.builder.node("logistic", (source,), to.builder.shape(source), f"{node.name}_gate")
    to.add(node, "mul", (source, gate), activation="none")


@handles("aten.leaky_relu.default", "aten.leaky_relu_.default")
def _leaky_relu(to: Importer, node: fx.Node) -> None:
    to.add(node, "leaky_relu", (to.value(node.args[0]),), alpha=float(argument(node, 1, 0.01)))


def binary(op: str) -> Handler:
    """An operator of two tensors, or of a tensor and a number."""

    def handler(to: Importer, node: fx.Node) -> None:
        if argument(node, 2, node.kwargs.get("alpha", 1)) != 1:
            raise to.refuse(node, f"{node.target} with alpha; hwsim has none")
        to.add(node, op, (to.value(node.args[0]), to.value(node.args[1])), activation="none")

    return handler


for _name in ("add", "sub", "mul"):
    handles(f"aten.{_name}.Tensor", f"aten.{_name}_.Tensor")(binary(_name))


@handles("aten.max_pool2d.default")
def _max_pool(to: Importer, node: fx.Node) -> None:
    if pair(argument(node, 4, 1)) != (1, 1) or argument(node, 5, False):
        raise to.refuse(node, "max_pool2d with dilation or ceil_mode; hwsim has neither")
    if pair(argument(node, 3, 0)) != (0, 0) and not never_negative(to, to.value(node.args[0])):
        raise to.refuse(node, "max_pool2d pads values that may be negative; hwsim pads with 0, right only after ReLU")
    pool(to, node, "max_pool_2d", argument(node, 3, 0))


@handles("aten.avg_pool2d.default")
def _avg_pool(to: Importer, node: fx.Node) -> None:
    padding = pair(argument(node, 3, 0))
    if argument(node, 4, False) or argument(node, 6) is not None or (padding != (0, 0) and not argument(node, 5, True)):
        raise to.refuse(node, "avg_pool2d with ceil_mode, divisor_override or count_include_pad=False; hwsim has none")
    pool(to, node, "average_pool_2d", padding)


def pool(to: Importer, node: fx.Node, op: str, padding: Any) -> None:
    """A pooling window."""
    size = pair(argument(node, 1))
    stride = pair(argument(node, 2) or size)
    source, kind = padded(to, node, to.value(node.args[0]), size, stride, padding)
    if kind == "same" and op == "average_pool_2d":
        borders = np.array([[0, 0], [pair(padding)[0]] * 2, [pair(padding)[1]] * 2, [0, 0]], np.int32)
        shape = [n + int(b.sum()) for n, b in zip(to.builder.shape(source), borders, strict=True)]
        source, kind = to.builder.node("pad", (source, to.builder.constant("borders", borders)), shape, "pad"), "valid"
    to.add(
        node, op, (source,), padding=kind, stride_h=stride[0], stride_w=stride[1], filter_h=size[0], filter_w=size[1],
        activation="none",
    )  # fmt: skip


def never_negative(to: Importer, index: int) -> bool:
    """Whether a tensor comes straight out of a ReLU."""
    makers = [n for n in to.builder.nodes if n.outputs == (index,)]
    return bool(makers) and (makers[0].op in FUSED or makers[0].attributes.get("activation") in FUSED)


@handles("aten.adaptive_avg_pool2d.default", "aten.mean.dim")
def _mean(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    rank = len(to.builder.shape(source))
    if "adaptive" in str(node.target):
        if pair(node.args[1]) != (1, 1):
            raise to.refuse(node, f"adaptive_avg_pool2d to {node.args[1]}; hwsim has (1, 1)")
        axes, keep = [1, 2], True
    else:
        asked, keep = [axis % rank for axis in node.args[1]], bool(argument(node, 2, False))
        axes = sorted({0: 0, 1: 3, 2: 1, 3: 2}[axis] if rank == 4 else axis for axis in asked)
        if rank == 4 and not keep and axes != [1, 2]:
            raise to.refuse(node, f"mean over axes {node.args[1]}; of images hwsim takes height and width together")
    to.add(node, "mean", (source, to.builder.constant(f"{node.name}_axes", np.array(axes, np.int32))), keep_dims=keep)


@handles(
    "aten.flatten.using_ints", "aten.view.default", "aten.reshape.default", "aten.unsqueeze.default", "aten.squeeze.dim"
)
def _reshape(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    shape = to.builder.shape(source)
    if len(shape) == 4:
        source = channels_first(to, source, node.name)
    wanted = tuple(int(n) for n in node.meta["val"].shape)
    if len(wanted) != 4:
        to.values[node] = reshaped(to, source, wanted, node.name)
        return
    first = reshaped(to, source, wanted, f"{node.name}_first")
    to.values[node] = transposed(to, first, (0, 2, 3, 1), node.name)


def channels_first(to: Importer, source: int, name: str) -> int:
    """An image as torch lays it out; where that is the same order, the image itself."""
    _, height, width, channels = to.builder.shape(source)
    return source if channels == 1 or height * width == 1 else transposed(to, source, (0, 3, 1, 2), f"{name}_chw")


def reshaped(to: Importer, source: int, shape: Sequence[int], name: str) -> int:
    """`source` in another shape."""
    where = to.builder.constant(f"{name}_shape", np.array(shape, np.int32))
    return to.builder.node("reshape", (source, where), shape, name)


def transposed(to: Importer, source: int, order: Sequence[int], name: str) -> int:
    """`source` with its axes in another order."""
    shape = [to.builder.shape(source)[axis] for axis in order]
    return to.builder.node(
        "transpose", (source, to.builder.constant(f"{name}_order", np.array(order, np.int32))), shape, name
    )


@handles("aten.softmax.int", "aten._softmax.default")
def _softmax(to: Importer, node: fx.Node) -> None:
    rank = len(node.meta["val"].shape)
    if node.args[1] % rank != rank - 1 or rank == 4:
        raise to.refuse(node, "softmax over an axis that is not the last of fewer than four; hwsim takes that one only")
    to.add(node, "softmax", (to.value(node.args[0]),), beta=1.0)


@handles("aten.cat.default")
def _cat(to: Importer, node: fx.Node) -> None:
    parts = node.args[0]
    assert isinstance(parts, list | tuple)
    rank = len(node.meta["val"].shape)
    axis = argument(node, 1, 0) % rank
    place = {0: 0, 1: 3, 2: 1, 3: 2}[axis] if rank == 4 else axis
    to.add(node, "concatenation", [to.value(part) for part in parts], axis=place, activation="none")


@handles("aten.constant_pad_nd.default", "aten.pad.default")
def _pad(to: Importer, node: fx.Node) -> None:
    amounts = node.args[1]
    assert isinstance(amounts, list | tuple)
    rank = len(node.meta["val"].shape)
    if argument(node, 3 if "constant" not in str(node.target) else 2, 0) not in (0, 0.0, None) or min(amounts) < 0:
        raise to.refuse(node, f"{node.target} with other than zeros; hwsim pads with 0")
    borders = np.zeros((rank, 2), np.int32)
    for i, (before, after) in enumerate(zip(amounts[::2], amounts[1::2], strict=True)):
        borders[rank - 1 - i] = before, after
    if rank == 4:
        borders = borders[[0, 2, 3, 1]]
    to.add(node, "pad", (to.value(node.args[0]), to.builder.constant(f"{node.name}_borders", borders)))


@handles("aten.slice.Tensor")
def _slice(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    shape = to.builder.shape(source)
    rank = len(shape)
    axis = argument(node, 1, 0) % rank
    place = {0: 0, 1: 3, 2: 1, 3: 2}[axis] if rank == 4 else axis
    start, stop, step = argument(node, 2) or 0, argument(node, 3), argument(node, 4, 1)
    stop = shape[place] if stop is None else min(stop if stop >= 0 else stop + shape[place], shape[place])
    begin, end, stride = np.zeros(rank, np.int32), np.array(shape, np.int32), np.ones(rank, np.int32)
    begin[place], end[place], stride[place] = start if start >= 0 else start + shape[place], stop, step
    if (begin == 0).all() and (end == shape).all() and (stride == 1).all():
        to.values[node] = source
        return
    ends = [
        to.builder.constant(f"{node.name}_{what}", data)
        for what, data in (("begin", begin), ("end", end), ("step", stride))
    ]
    to.add(node, "strided_slice", (source, *ends))


@handles("aten.transpose.int", "aten.permute.default", "aten.t.default")
def _permute(to: Importer, node: fx.Node) -> None:
    source = to.value(node.args[0])
    rank = len(node.meta["val"].shape)
    order = list(range(rank))
    if "permute" in str(node.target):
        order = [axis % rank for axis in node.args[1]]
    else:
        a, b = (node.args[1] % rank, node.args[2] % rank) if len(node.args) > 2 else (0, 1)
        order[a], order[b] = order[b], order[a]
    if rank == 4:  # both the source and the result lie with their second axis last
        lie = (0, 2, 3, 1)
        order = [lie.index(order[axis]) for axis in lie]
    to.values[node] = transposed(to, source, order, node.name)


@handles("aten.matmul.default", "aten.bmm.default")
def _matmul(to: Importer, node: fx.Node) -> None:
    if len(node.meta["val"].shape) == 4:
        raise to.refuse(node, "matmul of four dimensions; merge batch and heads first (reshape to three)")
    to.add(node, "batch_matmul", (to.value(node.args[0]), to.value(node.args[1])), adj_x=False, adj_y=False)


@handles(
    "aten.dropout.default", "aten.contiguous.default", "aten.clone.default", "aten.detach.default", "aten.alias.default",
    "aten.feature_dropout.default",
)  # fmt: skip
def _nothing(to: Importer, node: fx.Node) -> None:
    source = node.args[0]
    assert isinstance(source, fx.Node)
    to.same(node, source)


__all__ = ["ABSENT", "HANDLERS", "Importer"]
