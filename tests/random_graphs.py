"""Random one-operator graphs, as real converters would write them, for comparing with real engines and oracles."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.graph import Graph, Node, Tensor
from tests.build import codes, constant, single, tensor
from tests.random_activations import MAKERS_ACTIVATIONS
from tests.random_more import MAKERS_MORE
from tests.random_moves import MAKERS_MOVES

Generator = np.random.Generator


def scale(g: Generator, low: float = 0.01, high: float = 0.1) -> float:
    """A float32 scale."""
    return float(np.float32(g.uniform(low, high)))


def zero_point(g: Generator, dtype: str) -> int:
    """Any code of `dtype`."""
    info = np.iinfo(dtype)
    return int(g.integers(info.min, info.max, endpoint=True))


def pick(g: Generator, *values: Any) -> Any:
    """One of `values`."""
    return values[int(g.integers(len(values)))]


def _window(g: Generator, filter_size: tuple[int, int]) -> tuple[dict[str, Any], tuple[int, int], tuple[int, int]]:
    """Options, an input size that the filter fits, and the output size."""
    stride, dilation = (int(v) for v in g.integers(1, 3, 2)), (int(v) for v in g.integers(1, 3, 2))
    (sh, sw), (dh, dw) = tuple(stride), tuple(dilation)
    if max(sh, sw) > 1:
        dh = dw = 1
    padding = pick(g, "same", "valid")
    spans = (filter_size[0] - 1) * dh + 1, (filter_size[1] - 1) * dw + 1
    size = tuple(int(span + g.integers(0, 6)) for span in spans)
    if padding == "same":
        out = -(-size[0] // sh), -(-size[1] // sw)
    else:
        out = (size[0] - spans[0]) // sh + 1, (size[1] - spans[1]) // sw + 1
    options = {"padding": padding, "stride_h": sh, "stride_w": sw, "dilation_h": dh, "dilation_w": dw}
    return options, size, out  # type: ignore[return-value]


def _output_scale(g: Generator, si: float, sw: Any, depth: int) -> float:
    """Coarse multipliers, 0.05 to 0.7, tell the roundings apart; fine ones are what networks have."""
    if pick(g, True, False):
        return float(np.float32(si * float(np.max(sw)) / g.uniform(0.05, 0.7)))
    return float(np.float32(si * float(np.max(sw)) * 74 * np.sqrt(depth) * g.uniform(0.5, 1.5)))


def _weights(g: Generator, shape: tuple[int, ...], axis: int, dtype: str) -> Tensor:
    if dtype == "uint8":
        return tensor("w", shape, dtype, scale(g), zero_point(g, dtype), data=codes(g, shape, dtype))
    scales = g.uniform(0.01, 0.1, shape[axis]).astype(np.float32) if pick(g, True, False) else scale(g)
    values = np.maximum(codes(g, shape), -127)
    return tensor("w", shape, "int8", scales, 0, axis if np.ndim(scales) else None, values)


def _bias(g: Generator, channels: int, weights: Tensor, si: float) -> Tensor:
    scales = weights.format.scale * np.float32(si)  # type: ignore[union-attr]
    axis = 0 if scales.size > 1 else None
    values = g.integers(-5000, 5000, channels)
    return tensor("b", (channels,), "int32", scales if axis == 0 else float(scales[0]), 0, axis, values)


def _activation(g: Generator) -> str:
    return str(pick(g, "none", "none", "relu", "relu6"))


def conv2d(g: Generator, dtype: str) -> Graph:
    filter_size = int(g.integers(1, 4)), int(g.integers(1, 4))
    options, size, out = _window(g, filter_size)
    channels, filters = int(g.integers(1, 20)), int(g.integers(1, 20))
    si, weights = scale(g), _weights(g, (filters, *filter_size, channels), 0, dtype)
    so = _output_scale(g, si, weights.format.scale, channels * filter_size[0] * filter_size[1])  # type: ignore[union-attr]
    x = tensor("x", (1, *size, channels), dtype, si, zero_point(g, dtype))
    y = tensor("y", (1, *out, filters), dtype, so, zero_point(g, dtype))
    return single("conv2d", [x, weights, _bias(g, filters, weights, si)], y, activation=_activation(g), **options)


def depthwise_conv2d(g: Generator, dtype: str) -> Graph:
    filter_size = int(g.integers(1, 4)), int(g.integers(1, 4))
    options, size, out = _window(g, filter_size)
    channels, multiplier = int(g.integers(1, 20)), int(pick(g, 1, 1, 2, 3))
    filters = channels * multiplier
    si, weights = scale(g), _weights(g, (1, *filter_size, filters), 3, dtype)
    so = _output_scale(g, si, weights.format.scale, filter_size[0] * filter_size[1])  # type: ignore[union-attr]
    x = tensor("x", (1, *size, channels), dtype, si, zero_point(g, dtype))
    y = tensor("y", (1, *out, filters), dtype, so, zero_point(g, dtype))
    options |= {"depth_multiplier": multiplier, "activation": _activation(g)}
    return single("depthwise_conv2d", [x, weights, _bias(g, filters, weights, si)], y, **options)


def fully_connected(g: Generator, dtype: str) -> Graph:
    depth, filters = int(g.integers(1, 70)), int(g.integers(1, 40))
    si, weights = scale(g), _weights(g, (filters, depth), 0, dtype)
    so = _output_scale(g, si, weights.format.scale, depth)  # type: ignore[union-attr]
    x = tensor("x", (1, depth), dtype, si, zero_point(g, dtype))
    y = tensor("y", (1, filters), dtype, so, zero_point(g, dtype))
    bias = _bias(g, filters, weights, si) if pick(g, True, True, False) else None
    options = {"activation": _activation(g), "keep_num_dims": False, "weights_format": "default"}
    return single("fully_connected", [x, weights, bias], y, **options)


def add(g: Generator, dtype: str) -> Graph:
    shape = tuple(int(v) for v in g.integers(1, 7, 4))
    shape = (1, *shape[1:])
    tensors = [tensor(n, shape, dtype, scale(g, 0.02, 0.1), zero_point(g, dtype)) for n in ("a", "b", "y")]
    if pick(g, True, False, False):
        form = scale(g, 0.02, 0.1), zero_point(g, dtype)
        tensors[1] = tensor("b", shape, dtype, *form, data=codes(g, shape, dtype))
    return single("add", tensors[:2], tensors[2], activation=_activation(g), pot_scale_int16=False)


def _pool(op: str, g: Generator, dtype: str) -> Graph:
    filter_size = int(g.integers(1, 4)), int(g.integers(1, 4))
    options, size, _ = _window(g, filter_size)
    for name in ("dilation_h", "dilation_w"):
        options.pop(name)
    sh, sw = options["stride_h"], options["stride_w"]
    if options["padding"] == "same":
        out = -(-size[0] // sh), -(-size[1] // sw)
    else:
        out = (size[0] - filter_size[0]) // sh + 1, (size[1] - filter_size[1]) // sw + 1
    channels, s, z = int(g.integers(1, 20)), scale(g), zero_point(g, dtype)
    x, y = tensor("x", (1, *size, channels), dtype, s, z), tensor("y", (1, *out, channels), dtype, s, z)
    options |= {"filter_h": filter_size[0], "filter_w": filter_size[1], "activation": _activation(g)}
    return single(op, [x], y, **options)


def average_pool_2d(g: Generator, dtype: str) -> Graph:
    return _pool("average_pool_2d", g, dtype)


def max_pool_2d(g: Generator, dtype: str) -> Graph:
    return _pool("max_pool_2d", g, dtype)


def mean(g: Generator, dtype: str) -> Graph:
    shape, keep = (1, *(int(v) for v in g.integers(2, 6, 2)), int(g.integers(1, 40))), bool(pick(g, True, False))
    axes = pick(g, (1, 2), (1, 2), (3,), (1,))
    out = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    x = tensor("x", shape, dtype, scale(g), zero_point(g, dtype))
    y = tensor("y", out, dtype, scale(g, 0.005, 0.05), zero_point(g, dtype))
    return single("mean", [x, constant("axes", axes)], y, keep_dims=keep)


def softmax(g: Generator, dtype: str) -> Graph:
    shape = (1, int(g.integers(1, 4)), int(g.integers(1, 30)))
    x = tensor("x", shape, dtype, scale(g, 0.01, 0.3), zero_point(g, dtype))
    y = tensor("y", shape, dtype, 1 / 256, -128 if dtype == "int8" else 0)
    if dtype == "int8" and pick(g, True, False):
        y = tensor("y", shape, "int16", 1 / 65536, -32768)
    return single("softmax", [x], y, beta=1.0)


def reshape(g: Generator, dtype: str) -> Graph:
    a, b = int(g.integers(1, 9)), int(g.integers(1, 9))
    x, y = tensor("x", (1, a, b), dtype), tensor("y", (b, a), dtype)
    return single("reshape", [x, constant("shape", (b, -1))], y, new_shape=(b, -1))


def squeeze(g: Generator, dtype: str) -> Graph:
    a, b = int(g.integers(2, 9)), int(g.integers(2, 9))
    x, y = tensor("x", (1, a, 1, b), dtype), tensor("y", (1, a, b), dtype)
    return single("squeeze", [x], y, axes=(2,))


def quantize(g: Generator, dtype: str) -> Graph:
    shape = (1, int(g.integers(1, 9)), int(g.integers(1, 9)))
    target = tensor("y", shape, dtype, scale(g), zero_point(g, dtype))
    if pick(g, True, False):
        return single("quantize", [Tensor("x", shape, "float32")], target)
    return single("quantize", [tensor("x", shape, dtype, scale(g), zero_point(g, dtype))], target)


def dequantize(g: Generator, dtype: str) -> Graph:
    shape = (1, int(g.integers(1, 9)), int(g.integers(1, 9)))
    return single(
        "dequantize", [tensor("x", shape, dtype, scale(g), zero_point(g, dtype))], Tensor("y", shape, "float32")
    )


def resize_bilinear(g: Generator, dtype: str) -> Graph:
    size, out = tuple(int(v) for v in g.integers(1, 7, 2)), tuple(int(v) for v in g.integers(1, 12, 2))
    channels, s, z = int(g.integers(1, 20)), scale(g), zero_point(g, dtype)
    x, y = tensor("x", (1, *size, channels), dtype, s, z), tensor("y", (1, *out, channels), dtype, s, z)
    align, half = pick(g, (False, False), (True, False), (False, True))
    return single("resize_bilinear", [x, constant("size", out)], y, align_corners=align, half_pixel_centers=half)


def concatenation(g: Generator, dtype: str) -> Graph:
    axis, shape = int(pick(g, 1, 2, 3)), [1, *(int(v) for v in g.integers(1, 6, 3))]
    shapes = [tuple(n if i != axis else int(g.integers(1, 9)) for i, n in enumerate(shape)) for _ in range(2)]
    out = tuple(n if i != axis else shapes[0][axis] + shapes[1][axis] for i, n in enumerate(shapes[0]))
    forms = [(scale(g), zero_point(g, dtype)) for _ in range(3)]
    if dtype == "int8" or pick(g, True, False):
        forms = forms[:1] * 3
    tensors = [tensor(n, s, dtype, *f) for n, s, f in zip("aby", (*shapes, out), forms, strict=True)]
    return single("concatenation", tensors[:2], tensors[2], axis=axis, activation="none")


def arg_max(g: Generator, dtype: str) -> Graph:
    shape, axis = (1, *(int(v) for v in g.integers(1, 9, 3))), int(pick(g, 1, 2, 3))
    out = tuple(n for i, n in enumerate(shape) if i != axis)
    x, y = tensor("x", shape, dtype), Tensor("y", out, "int32")
    return single("arg_max", [x, constant("axis", axis)], y, output_type="int32")


def pad(g: Generator, dtype: str) -> Graph:
    shape, widths = (1, *(int(v) for v in g.integers(1, 6, 3))), g.integers(0, 3, (4, 2))
    widths[0] = 0
    out = tuple(int(n + w.sum()) for n, w in zip(shape, widths, strict=True))
    s, z = scale(g), zero_point(g, dtype)
    return single("pad", [tensor("x", shape, dtype, s, z), constant("w", widths)], tensor("y", out, dtype, s, z))


MAKERS: dict[str, Callable[[Generator, str], Graph]] = {
    maker.__name__: maker
    for maker in (
        conv2d, depthwise_conv2d, fully_connected, add, average_pool_2d, max_pool_2d, mean, softmax, reshape, squeeze,
        quantize, dequantize, resize_bilinear, concatenation, arg_max, pad,
    )
}  # fmt: skip
MAKERS |= MAKERS_MOVES
MAKERS |= MAKERS_ACTIVATIONS
MAKERS |= MAKERS_MORE


def many(op: str, dtype: str, count: int, seed: int = 0) -> Graph:
    """`count` random nodes of one operator side by side, each with inputs and an output of its own."""
    g = np.random.default_rng([seed, *op.encode(), *dtype.encode()])
    return beside([MAKERS[op](g, dtype) for _ in range(count)], f"{count} {op} {dtype}")


def beside(graphs: list[Graph], name: str) -> Graph:
    """One graph that holds all of `graphs`, unconnected."""
    tensors: list[Tensor] = []
    nodes, inputs, outputs = [], [], []
    for k, graph in enumerate(graphs):
        base = len(tensors)
        tensors += [replace(t, name=f"{t.name}{k}") for t in graph.tensors]
        for node in graph.nodes:
            moved = [tuple(i + base if i >= 0 else i for i in part) for part in (node.inputs, node.outputs)]
            between = node.attributes.get("intermediates")
            options = dict(node.attributes) | ({"intermediates": tuple(i + base for i in between)} if between else {})
            nodes.append(Node(node.op, f"{node.name}{k}", moved[0], moved[1], options))
        inputs += [i + base for i in graph.inputs]
        outputs += [i + base for i in graph.outputs]
    return Graph(name, tuple(tensors), tuple(nodes), tuple(inputs), tuple(outputs))
