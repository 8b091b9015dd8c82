"""How gradients flow back through operators without weights."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import UnsupportedError
from hwsim.graph import Graph, NodeView
from hwsim.kernels.conv2d import Window
from hwsim.ops._base import merge_batch
from hwsim.ops._float import taps
from hwsim.ops._window import window
from hwsim.simulate import compile

Reals = NDArray[np.float32]
Gradients = list[Reals | None]
Adjoint = Callable[[Sequence[Reals], Sequence[Reals], Sequence[Reals | None]], Gradients]
"""(inputs, outputs, gradients of outputs) to gradients of inputs; arrays are (samples, *declared shape)."""
Place = tuple[Window, int, int]

TANH_SCALE, TANH_CUBE = np.float32((2 / np.pi) ** 0.5), np.float32(0.044715)
"""Of GELU's approximation by tanh."""

LIMITS = {"none": (-np.inf, np.inf), "relu": (0.0, np.inf), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}
"""Where activation functions clip."""

MOVERS = (
    "reshape", "squeeze", "expand_dims", "transpose", "slice", "strided_slice", "split", "split_v", "pad",
    "mirror_pad", "pack", "unpack", "gather", "concatenation", "space_to_depth", "depth_to_space",
    "resize_nearest_neighbor",
)  # fmt: skip
"""Operators each of whose outputs is one of its inputs, or 0."""


def untaps(parts: Sequence[Reals], place: Place, size: tuple[int, int]) -> Reals:
    """The adjoint of `taps` with zeros outside: parts (batch, out_height, out_width, channels) summed to images."""
    frame, out_height, out_width = place
    batch, channels = parts[0].shape[0], parts[0].shape[3]
    needed = [
        (out - 1) * stride + (taps_along - 1) * dilation + 1
        for out, stride, taps_along, dilation in (
            (out_height, frame.stride_height, frame.filter_height, frame.dilation_height),
            (out_width, frame.stride_width, frame.filter_width, frame.dilation_width),
        )
    ]
    high, wide = max(needed[0], frame.pad_top + size[0]), max(needed[1], frame.pad_left + size[1])
    padded = np.zeros((batch, high, wide, channels), np.float32)
    bare = frame._replace(pad_top=0, pad_left=0), out_height, out_width
    for view, part in zip(taps(padded, bare, 0.0), parts, strict=True):
        view += part
    return padded[:, frame.pad_top : frame.pad_top + size[0], frame.pad_left : frame.pad_left + size[1]]


def move(alone: Graph) -> Adjoint:
    """Of an operator that only moves values: it is run once on the values' own numbers to see where they go."""
    node, tensors = alone.nodes[0], alone.tensors
    starts, numbers, total = dict[int, int](), dict[int, Reals](), 1
    for i in alone.inputs:
        size = prod(tensors[i].shape)
        starts[i] = total
        numbers[i] = np.arange(total, total + size, dtype=np.float32).reshape(1, *tensors[i].shape)
        total += size
    if total > 1 << 24:
        raise UnsupportedError(f"{node.op} {node.name!r}: more than 2^24 values; hwsim cannot follow their gradients")
    found = compile(alone, "float").run_samples(numbers, 1)
    where = np.concatenate([found[i].reshape(-1) for i in alone.outputs]).astype(np.int64)
    once = np.bincount(where, minlength=total)[1:].max(initial=0) <= 1

    def adjoint(_inputs: Sequence[Reals], outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        samples = len(outputs[0])
        flat = [np.zeros((samples, o.size // samples), np.float32) if g is None else g.reshape(samples, -1)
                for o, g in zip(outputs, given, strict=True)]  # fmt: skip
        slope, back = np.concatenate(flat, axis=1), np.zeros((samples, total), np.float32)
        if once:
            back[:, where] = slope
        else:
            np.add.at(back.T, where, slope.T)
        return [
            back[:, starts[i] : starts[i] + prod(tensors[i].shape)].reshape(samples, *tensors[i].shape)
            if i in starts
            else None
            for i in node.inputs
        ]

    return adjoint


def _summed(gradient: Reals, like: Reals) -> Reals:
    """A gradient summed over what broadcasting repeated; constants have one sample."""
    rest = like.shape[1:]
    lead = gradient.ndim - 1 - len(rest)
    gradient = gradient.sum(axis=tuple(range(1, 1 + lead))) if lead else gradient
    axes = tuple(a for a, n in enumerate(rest, 1) if n == 1 and gradient.shape[a] != 1)
    return gradient.sum(axis=axes, keepdims=True) if axes else gradient


def _inside(alone: Graph, outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Reals:
    """The gradient where a fused activation is not at one of its ends."""
    slope, name = given[0], NodeView(alone, alone.nodes[0]).text("activation", "none")
    assert slope is not None
    if name == "none":
        return slope
    low, high = LIMITS[name]
    return slope * ((outputs[0] > low) & (outputs[0] < high))


def _add(alone: Graph) -> Adjoint:
    sign = -1.0 if alone.nodes[0].op == "sub" else 1.0

    def adjoint(inputs: Sequence[Reals], outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        slope = _inside(alone, outputs, given)
        return [_summed(slope, inputs[0]), _summed(np.float32(sign) * slope, inputs[1])]

    return adjoint


def _mul(alone: Graph) -> Adjoint:
    def adjoint(inputs: Sequence[Reals], outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        slope = _inside(alone, outputs, given)
        return [_summed(slope * inputs[1], inputs[0]), _summed(slope * inputs[0], inputs[1])]

    return adjoint


def _relu(alone: Graph) -> Adjoint:
    low, high = LIMITS[alone.nodes[0].op]

    def adjoint(inputs: Sequence[Reals], _outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        slope = given[0]
        return [None if slope is None else slope * ((inputs[0] > low) & (inputs[0] < high))]

    return adjoint


def _pool(alone: Graph) -> tuple[Place, tuple[int, int], int]:
    view = NodeView(alone, alone.nodes[0])
    height, width = view.integer("filter_h"), view.integer("filter_w")
    shape = view.input(0).shape
    return window(view, height, width), (shape[1], shape[2]), height * width


def _average_pool(alone: Graph) -> Adjoint:
    place, size, count = _pool(alone)
    inside = np.sum(list(taps(np.ones((1, *size, 1), np.float32), place, 0.0)), axis=0)

    def adjoint(inputs: Sequence[Reals], outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        part = merge_batch(_inside(alone, outputs, given)) / inside
        return [untaps([part] * count, place, size).reshape(inputs[0].shape)]

    return adjoint


def _max_pool(alone: Graph) -> Adjoint:
    place, size, _ = _pool(alone)

    def adjoint(inputs: Sequence[Reals], outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        """Taps that share the largest value share its gradient."""
        slope = merge_batch(_inside(alone, outputs, given))
        parts = list(taps(merge_batch(inputs[0]), place, -np.inf))
        largest = np.max(parts, axis=0)
        hits = [(part == largest).astype(np.float32) for part in parts]
        share = slope / np.sum(hits, axis=0)
        return [untaps([hit * share for hit in hits], place, size).reshape(inputs[0].shape)]

    return adjoint


def _mean(alone: Graph) -> Adjoint:
    view = NodeView(alone, alone.nodes[0])
    shape = view.input(0).shape
    axes = {int(a) % len(shape) for a in view.constant(1).reshape(-1)}
    kept = [1 if a in axes else n for a, n in enumerate(shape)]
    count = prod(shape[a] for a in axes)

    def adjoint(inputs: Sequence[Reals], _outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        slope = given[0]
        if slope is None:
            return [None]
        spread = np.broadcast_to(slope.reshape(len(slope), *kept) / np.float32(count), inputs[0].shape)
        return [spread]

    return adjoint


def _softmax(alone: Graph) -> Adjoint:
    beta = np.float32(alone.nodes[0].attributes.get("beta", 1.0))  # type: ignore[arg-type]

    def adjoint(_inputs: Sequence[Reals], outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        slope, out = given[0], outputs[0]
        return [None if slope is None else beta * out * (slope - (slope * out).sum(-1, keepdims=True))]

    return adjoint


def _gelu(alone: Graph) -> Adjoint:
    from scipy.special import erfc

    bend = NodeView(alone, alone.nodes[0]).attributes.get("approximate")

    def adjoint(inputs: Sequence[Reals], _outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        slope, x = given[0], inputs[0]
        if slope is None:
            return [None]
        if bend:
            share: Reals = np.tanh(TANH_SCALE * (x + TANH_CUBE * x**3))
            steep: Reals = (1 - share**2) * TANH_SCALE * (1 + 3 * TANH_CUBE * x**2)
            return [slope * np.float32(0.5) * (1 + share + x * steep)]
        density = np.exp(x * x * np.float32(-0.5)) * np.float32((2 * np.pi) ** -0.5)
        return [slope * (np.float32(0.5) * erfc(x * np.float32(-(0.5**0.5))) + x * density)]

    return adjoint


def _rsqrt(_alone: Graph) -> Adjoint:
    def adjoint(_inputs: Sequence[Reals], outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        return [None if given[0] is None else given[0] * np.float32(-0.5) * outputs[0] ** 3]

    return adjoint


def _layer_norm(alone: Graph) -> Adjoint:
    epsilon = np.float32(alone.nodes[0].attributes.get("epsilon", 0.0))  # type: ignore[arg-type]

    def adjoint(inputs: Sequence[Reals], _outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        slope, (x, gamma, _) = given[0], inputs
        if slope is None:
            return [None, None, None]
        centered = x - x.mean(-1, keepdims=True)
        root = np.sqrt(np.square(centered).mean(-1, keepdims=True) + epsilon)
        normal, inner = centered / root, slope * gamma
        along = inner.mean(-1, keepdims=True) + normal * (inner * normal).mean(-1, keepdims=True)
        return [(inner - along) / root, None, None]

    return adjoint


def _batch_matmul(alone: Graph) -> Adjoint:
    view = NodeView(alone, alone.nodes[0])
    swaps = bool(view.attributes.get("adj_x")), bool(view.attributes.get("adj_y"))
    if len(view.input(0).shape) != len(view.input(1).shape):
        raise UnsupportedError(f"{view.label}: hwsim has gradients of matrices of equally many dimensions only")

    def adjoint(inputs: Sequence[Reals], _outputs: Sequence[Reals], given: Sequence[Reals | None]) -> Gradients:
        slope = given[0]
        if slope is None:
            return [None, None]
        first, second = (_turned(value, swap) for value, swap in zip(inputs, swaps, strict=True))
        slopes = np.matmul(slope, _turned(second, True)), np.matmul(_turned(first, True), slope)
        parts = zip(slopes, swaps, inputs, strict=True)
        return [_summed(np.ascontiguousarray(_turned(part, swap)), like) for part, swap, like in parts]

    return adjoint


def _turned(matrices: Reals, swap: bool) -> Reals:
    return matrices.swapaxes(-1, -2) if swap else matrices


ADJOINTS: dict[str, Callable[[Graph], Adjoint]] = {
    "add": _add,
    "sub": _add,
    "mul": _mul,
    "relu": _relu,
    "relu6": _relu,
    "relu_n1_to_1": _relu,
    "average_pool_2d": _average_pool,
    "max_pool_2d": _max_pool,
    "mean": _mean,
    "softmax": _softmax,
    "gelu": _gelu,
    "rsqrt": _rsqrt,
    "layer_norm": _layer_norm,
    "batch_matmul": _batch_matmul,
}
"""Operators without weights that do more than move values."""
