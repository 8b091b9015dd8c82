"""Integer operators once more, in torch's int64 and exact float64, from the rules' definitions alone.

They share no code with hwsim's operators and kernels: a sum of products is a float64 convolution of whole numbers below
2^53, which is exact, and rounding is written from its definition. Engine `dyadic`; `_reference_ibert` has I-BERT's.
"""

from collections.abc import Callable, Mapping
from math import floor, frexp

import torch
from torch.nn import functional

from hwsim.errors import UnsupportedError
from hwsim.graph import Affine, Graph, Levels, Node, Tensor

Values = list[torch.Tensor]
Operator = Callable[[Graph, Node, Values], torch.Tensor]


def reference(graph: Graph, codes: torch.Tensor, operators: Mapping[str, Operator]) -> dict[str, torch.Tensor]:
    """Every input and computed tensor by name, int64, for input codes (samples, ...).

    Samples are computed together where axis 0 is theirs throughout, else a batch of the graph at a time.
    """
    batch = graph.tensors[graph.inputs[0]].shape[0]
    parts = [codes] if _keeps_samples(graph) else codes.split(batch)
    found = [_run(graph, part, operators) for part in parts]
    return {name: torch.cat([values[name] for values in found]) for name in found[0]}


def _keeps_samples(graph: Graph) -> bool:
    """Whether axis 0 of everything computed is one sample's."""
    for node in graph.nodes:
        order = graph.tensors[node.inputs[1]].data if node.op == "transpose" else None
        if graph.tensors[node.outputs[0]].shape[0] != 1 or (order is not None and order[0] != 0):
            return False
    return True


def _run(graph: Graph, codes: torch.Tensor, operators: Mapping[str, Operator]) -> dict[str, torch.Tensor]:
    known: dict[int, torch.Tensor] = {graph.inputs[0]: codes.long()}
    for node in graph.nodes:
        if node.op not in operators:
            raise UnsupportedError(f"{node.op} {node.name!r}: the reference has {', '.join(sorted(operators))}")
        values = [known[i] if i in known else _constant(graph.tensors[i]) for i in node.inputs]
        output = graph.tensors[node.outputs[0]]
        result = operators[node.op](graph, node, values).clamp(*_limits(output))
        known[node.outputs[0]] = result.reshape(-1, *output.shape[1:])
    return {graph.tensors[i].name: value for i, value in known.items()}


def _constant(tensor: Tensor) -> torch.Tensor:
    return torch.from_numpy(tensor.data).long()


def _limits(tensor: Tensor) -> tuple[int, int]:
    wide = 16 if tensor.dtype == "int16" else 8
    bits = (tensor.format.bits if isinstance(tensor.format, Affine) else None) or wide
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def scale_of(tensor: Tensor) -> float:
    """The scale, of several the first."""
    assert tensor.format is not None
    return float(tensor.format.scale[0])


def zero_of(tensor: Tensor) -> int:
    """The zero point."""
    assert isinstance(tensor.format, Affine)
    return int(tensor.format.zero_point[0])


def half_away(value: float) -> int:
    """The nearest integer, ties away from zero."""
    return floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


def multiplier(real: float) -> tuple[int, int]:
    """`real` as (q, e): q * 2^(e - 31) with q in [2^30, 2^31)."""
    fraction, exponent = frexp(real)
    q = half_away(fraction * 2**31)
    return (q // 2, exponent + 1) if q == 2**31 else (q, exponent)


def once(x: torch.Tensor, q: int, e: int) -> torch.Tensor:
    """x * q * 2^(e - 31), rounded once, ties up; the product of two int32 shifted by 63 or more is 0."""
    shift = min(31 - e, 63)
    return (x * q + (1 << (shift - 1))) >> shift


def activated(codes: torch.Tensor, node: Node, output: Tensor) -> torch.Tensor:
    """A fused activation as limits of codes."""
    ends = {"none": (None, None), "relu": (0.0, None), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}
    low, high = ends[str(node.attributes.get("activation", "none"))]
    single = torch.tensor(scale_of(output), dtype=torch.float32)
    bounds = [
        None if end is None else zero_of(output) + half_away(float(torch.tensor(end, dtype=torch.float32) / single))
        for end in (low, high)
    ]
    return codes if bounds == [None, None] else codes.clamp(*bounds)


def _weights(tensor: Tensor, codes: torch.Tensor) -> torch.Tensor:
    form = tensor.format
    if isinstance(form, Levels):
        tables = torch.from_numpy(form.table).long()
        if form.axis is None:
            return tables[0][codes]
        along = [-1 if axis == form.axis else 1 for axis in range(codes.ndim)]
        return tables[torch.arange(len(tables)).reshape(along), codes]
    assert isinstance(form, Affine) and not form.zero_point.any()
    return codes


def _finished(graph: Graph, node: Node, sums: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Sums (..., channels) to codes: bias, one rounding, zero point, activation."""
    source, weights, output = (graph.tensors[i] for i in (node.inputs[0], node.inputs[1], node.outputs[0]))
    assert weights.format is not None
    sums = sums + bias
    scales = [float(s) for s in weights.format.scale]
    parts = [multiplier(scale_of(source) * s / scale_of(output)) for s in scales]
    if len(parts) == 1:
        moved = once(sums, *parts[0])
    else:
        moved = torch.stack([once(sums[..., i], *part) for i, part in enumerate(parts)], -1)
    return activated(moved + zero_of(output), node, output)


def _option(node: Node, name: str, usual: int = 1) -> int:
    value = node.attributes.get(name, usual)
    assert isinstance(value, int)
    return value


def _window(node: Node, sizes: torch.Size, window: tuple[int, int]) -> tuple[list[int], tuple[int, int]]:
    """Padding (left, right, top, bottom) and strides."""
    strides = (_option(node, "stride_h"), _option(node, "stride_w"))
    if node.attributes["padding"] == "valid":
        return [0, 0, 0, 0], strides
    total = [max((-(-n // s) - 1) * s + w - n, 0) for n, s, w in zip(sizes, strides, window, strict=True)]
    top, left = total[0] // 2, total[1] // 2
    return [left, total[1] - left, top, total[0] - top], strides


def _convolution(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    x, codes, bias = values
    taps = _weights(graph.tensors[node.inputs[1]], codes)
    depthwise = node.op == "depthwise_conv2d"
    taps = taps.permute(3, 0, 1, 2) if depthwise else taps.permute(0, 3, 1, 2)
    dilation = (_option(node, "dilation_h"), _option(node, "dilation_w"))
    reach = tuple((n - 1) * d + 1 for n, d in zip(taps.shape[2:], dilation, strict=True))
    padding, strides = _window(node, x.shape[1:3], (reach[0], reach[1]))
    centered = (x - zero_of(graph.tensors[node.inputs[0]])).permute(0, 3, 1, 2).double()
    groups = x.shape[3] if depthwise else x.shape[3] // taps.shape[1]
    sums = functional.conv2d(
        functional.pad(centered, padding), taps.double(), stride=strides, dilation=dilation, groups=groups
    )
    return _finished(graph, node, sums.round().long().permute(0, 2, 3, 1), bias)


def _fully_connected(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    x, codes, bias = values
    taps = _weights(graph.tensors[node.inputs[1]], codes)
    centered = (x - zero_of(graph.tensors[node.inputs[0]])).reshape(len(x), -1, taps.shape[1])
    return _finished(graph, node, centered @ taps.T, bias)


def _add(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    first, second, output = (graph.tensors[i] for i in (*node.inputs, *node.outputs))
    ratios = [scale_of(tensor) / scale_of(output) for tensor in (first, second)]
    shift = 31 - frexp(max(ratios))[1]
    left, right = (round(ratio * 2.0**shift) for ratio in ratios)
    total = (values[0] - zero_of(first)) * left + (values[1] - zero_of(second)) * right
    codes = ((total + (1 << (shift - 1))) >> shift) + zero_of(output)
    return activated(codes, node, output)


def _mul(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    first, second, output = (graph.tensors[i] for i in (*node.inputs, *node.outputs))
    product = (values[0] - zero_of(first)) * (values[1] - zero_of(second))
    codes = once(product, *multiplier(scale_of(first) * scale_of(second) / scale_of(output))) + zero_of(output)
    return activated(codes, node, output)


def _logistic(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source = graph.tensors[node.inputs[0]]
    gate = 256 * torch.sigmoid((values[0] - zero_of(source)).double() * scale_of(source))
    return (gate.round().long() - 128).clamp(max=127)


def _mean(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    axes = [int(axis) for axis in values[1].reshape(-1)]
    count = 1
    for axis in axes:
        count *= values[0].shape[axis]
    sums = (values[0] - zero_of(source)).sum(axes, keepdim=True)
    return once(sums, *multiplier(scale_of(source) / (scale_of(output) * count))) + zero_of(output)


def _quantize(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source, output = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    return once(values[0] - zero_of(source), *multiplier(scale_of(source) / scale_of(output))) + zero_of(output)


def _lookup(_: Graph, __: Node, values: Values) -> torch.Tensor:
    return values[1][values[0] + 128]


def _pad(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    amounts = [int(n) for pair in values[1].flip(0) for n in pair]
    return functional.pad(values[0], amounts, value=zero_of(graph.tensors[node.inputs[0]]))


def _reshape(_: Graph, __: Node, values: Values) -> torch.Tensor:
    return values[0]


def _transpose(_: Graph, __: Node, values: Values) -> torch.Tensor:
    return values[0].permute(values[1].tolist())


def _concatenation(_: Graph, node: Node, values: Values) -> torch.Tensor:
    return torch.cat(values, _option(node, "axis"))


def _strided_slice(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    begin, end, step = (part.tolist() for part in values[1:])
    parts = [slice(b, e, s) for b, e, s in zip(begin, end, step, strict=True)]
    whole = graph.tensors[node.inputs[0]].shape[0] == graph.tensors[node.outputs[0]].shape[0]
    return values[0][(slice(None), *parts[1:])] if whole else values[0][tuple(parts)]


def _pool(_: Graph, node: Node, values: Values) -> torch.Tensor:
    window = (_option(node, "filter_h"), _option(node, "filter_w"))
    x = values[0].permute(0, 3, 1, 2).double()
    padding, strides = _window(node, values[0].shape[1:3], window)
    if node.op == "max_pool_2d":
        pooled = functional.max_pool2d(functional.pad(x, padding, value=-128.0), window, strides)
        return pooled.long().permute(0, 2, 3, 1)
    if any(padding):
        raise UnsupportedError(f"{node.name!r}: the reference averages without padding only")
    count = window[0] * window[1]
    sums = (functional.avg_pool2d(x, window, strides, divisor_override=1)).long()
    return ((sums.abs() + count // 2) // count * sums.sign()).permute(0, 2, 3, 1)


def _batch_matmul(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    first, second, output = (graph.tensors[i] for i in (*node.inputs, *node.outputs))
    a, b = values[0] - zero_of(first), values[1] - zero_of(second)
    a = a.transpose(-1, -2) if node.attributes["adj_x"] else a
    b = b.transpose(-1, -2) if node.attributes["adj_y"] else b
    real = scale_of(first) * scale_of(second) / scale_of(output)
    return once((a.double() @ b.double()).long(), *multiplier(real)) + zero_of(output)


MOVES: dict[str, Operator] = {
    "lookup": _lookup, "pad": _pad, "reshape": _reshape, "transpose": _transpose, "concatenation": _concatenation,
    "strided_slice": _strided_slice,
}  # fmt: skip
"""What every engine does alike."""

DYADIC: dict[str, Operator] = MOVES | {
    "conv2d": _convolution, "depthwise_conv2d": _convolution, "fully_connected": _fully_connected, "add": _add,
    "mul": _mul, "logistic": _logistic, "mean": _mean, "quantize": _quantize, "max_pool_2d": _pool,
    "average_pool_2d": _pool,
    "batch_matmul": _batch_matmul,
}  # fmt: skip
