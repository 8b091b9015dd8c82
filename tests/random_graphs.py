"""Random one-operator graphs, as real converters would write them, for comparing with real engines and oracles."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.graph import Graph, Node, Tensor
from hwsim.graph.probes import probe_inputs
from tests.build import codes, constant, single, tensor
from tests.random_activations import MAKERS_ACTIVATIONS
from tests.random_detection import detection_postprocess, detection_values
from tests.random_glue import GLUE, MAKERS_GLUE
from tests.random_more import LITERT, MAKERS_MORE, MICRO_ONLY
from tests.random_moves import MAKERS_MOVES
from tests.random_numbers import MAKERS_NUMBERS, PLAIN
from tests.random_products import MAKERS_PRODUCTS

Generator = np.random.Generator
VALUES = ("int32", "int64", "float32", "bool")


def scale(g: Generator, low: float = 0.01, high: float = 0.1) -> float:
    """A float32 scale, now and then a power of two, so that there are ties."""
    if g.integers(5) == 0:
        return float(2.0 ** int(g.integers(np.ceil(np.log2(low)), np.floor(np.log2(high)) + 1)))
    return float(np.float32(g.uniform(low, high)))


def zero_point(g: Generator, dtype: str) -> int:
    """Any code of `dtype`; 0 for int16, as every engine wants it."""
    if dtype == "int16":
        return 0
    info = np.iinfo(dtype)
    return int(g.integers(info.min, info.max, endpoint=True))


def pick(g: Generator, *values: Any) -> Any:
    """One of `values`."""
    return values[int(g.integers(len(values)))]


def _window(g: Generator, filter_size: tuple[int, int]) -> tuple[dict[str, Any], tuple[int, int], tuple[int, int]]:
    """Options, an input size that the filter fits, and the output size."""
    stride, dilation = (int(v) for v in g.integers(1, 4, 2)), (int(v) for v in g.integers(1, 4, 2))
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


def activations(dtype: str) -> str:
    """The dtype of the activations: 'int8' of 'int8_int4'."""
    return dtype.partition("_")[0]


def _output_scale(g: Generator, si: float, sw: Any, depth: int, dtype: str) -> float:
    """Coarse multipliers, 0.05 to 0.7, tell the roundings apart, powers of two make ties, large ones shift left; fine
    ones are what networks have, and most of int16 ones.
    """
    product, fine = si * float(np.max(sw)), 74 * np.sqrt(depth) * g.uniform(0.5, 1.5)
    kind = pick(g, "fine", "coarse", "coarse", "tie", "large") if g.integers(3) or "int16" not in dtype else "fine"
    real = {
        "fine": 1 / fine,
        "coarse": g.uniform(0.05, 0.7),
        "tie": 2.0 ** -g.integers(1, 7),
        "large": g.uniform(0.7, 9),
    }
    return float(np.float32(product / real[kind]))


def _weights(g: Generator, shape: tuple[int, ...], axis: int, dtype: str) -> Tensor:
    """Of the dtype, int8 under int16 activations; int4 for a dtype that ends so."""
    if dtype == "uint8":
        return tensor("w", shape, dtype, scale(g), zero_point(g, dtype), data=codes(g, shape, dtype))
    four, per_channel = dtype.endswith("_int4"), bool(pick(g, True, False))
    if four and len(shape) == 2:
        per_channel = dtype == "int8_channels_int4"
    scales = g.uniform(0.01, 0.1, shape[axis]).astype(np.float32) if per_channel else scale(g)
    values = g.integers(-8, 8, shape) if four else np.maximum(codes(g, shape), -127)
    made = tensor("w", shape, "int8", scales, 0, axis if np.ndim(scales) else None, values)
    return replace(made, format=replace(made.format, bits=4)) if four else made


def _bias(g: Generator, channels: int, weights: Tensor, si: float, dtype: str) -> Tensor:
    """int32, or int64 for int16 activations unless their dtype ends in _int32."""
    scales = weights.format.scale * np.float32(si)  # type: ignore[union-attr]
    axis = 0 if scales.size > 1 else None
    size = 1_500_000 if dtype.startswith("int16") else 5000
    kind, form = "int64" if dtype == "int16" else "int32", scales if axis == 0 else float(scales[0])
    return tensor("b", (channels,), kind, form, 0, axis, g.integers(-size, size, channels))


def _activation(g: Generator) -> str:
    return str(pick(g, "none", "none", "relu", "relu6", "relu_n1_to_1"))


def _bias_type(g: Generator, dtype: str) -> dict[str, Any]:
    """The option that LiteRT wants for int32 sums of int16 activations; for int64 ones it may be left out."""
    if not dtype.startswith("int16"):
        return {}
    return {"quantized_bias_type": "int32" if dtype.endswith("_int32") else pick(g, "float32", "int64")}


def conv2d(g: Generator, dtype: str) -> Graph:
    filter_size = int(g.integers(1, 4)), int(g.integers(1, 4))
    options, size, out = _window(g, filter_size)
    groups = int(pick(g, 1, 1, 1, 2, 3))
    channels, filters = int(g.integers(1, 20)), int(g.integers(1, 20)) * groups
    si, weights = scale(g), _weights(g, (filters, *filter_size, channels), 0, dtype)
    so = _output_scale(g, si, weights.format.scale, channels * filter_size[0] * filter_size[1], dtype)  # type: ignore[union-attr]
    kind, batch = activations(dtype), int(pick(g, 1, 1, 2))
    x = tensor("x", (batch, *size, channels * groups), kind, si, zero_point(g, kind))
    y = tensor("y", (batch, *out, filters), kind, so, zero_point(g, kind))
    options |= {"activation": _activation(g)} | _bias_type(g, dtype)
    return single("conv2d", [x, weights, _bias(g, filters, weights, si, dtype)], y, **options)


def depthwise_conv2d(g: Generator, dtype: str) -> Graph:
    filter_size = int(g.integers(1, 4)), int(g.integers(1, 4))
    options, size, out = _window(g, filter_size)
    channels, multiplier = int(g.integers(1, 20)), int(pick(g, 1, 1, 2, 3))
    filters = channels * multiplier
    si, weights = scale(g), _weights(g, (1, *filter_size, filters), 3, dtype)
    so = _output_scale(g, si, weights.format.scale, filter_size[0] * filter_size[1], dtype)  # type: ignore[union-attr]
    kind, batch = activations(dtype), int(pick(g, 1, 1, 2))
    x = tensor("x", (batch, *size, channels), kind, si, zero_point(g, kind))
    y = tensor("y", (batch, *out, filters), kind, so, zero_point(g, kind))
    options |= {"depth_multiplier": multiplier, "activation": _activation(g)}
    return single("depthwise_conv2d", [x, weights, _bias(g, filters, weights, si, dtype)], y, **options)


def fully_connected(g: Generator, dtype: str) -> Graph:
    depth, filters = int(g.integers(1, 70)), int(g.integers(1, 40))
    si, weights = scale(g), _weights(g, (filters, depth), 0, dtype)
    so = _output_scale(g, si, weights.format.scale, depth, dtype)  # type: ignore[union-attr]
    kind, rows = activations(dtype), int(pick(g, 1, 1, 2, 5))
    x = tensor("x", (rows, depth), kind, si, zero_point(g, kind))
    y = tensor("y", (rows, filters), kind, so, zero_point(g, kind))
    bias = _bias(g, filters, weights, si, dtype) if pick(g, True, True, False) else None
    options = {"activation": _activation(g), "keep_num_dims": False, "weights_format": "default"} | _bias_type(g, dtype)
    return single("fully_connected", [x, weights, bias], y, **options)


def add(g: Generator, dtype: str) -> Graph:
    shape = (1, *(int(v) for v in g.integers(1, 7, 2)), int(g.integers(1, 40)))
    tensors = [tensor(n, shape, dtype, scale(g, 0.02, 0.1), zero_point(g, dtype)) for n in ("a", "b", "y")]
    if pick(g, True, False, False):
        form = scale(g, 0.02, 0.1), zero_point(g, dtype)
        tensors[1] = tensor("b", shape, dtype, *form, data=codes(g, shape, dtype))
    elif pick(g, True, False):
        other, side = tuple(1 if pick(g, True, False) else n for n in shape), int(g.integers(2))
        tensors[side] = tensor("ab"[side], other, dtype, scale(g, 0.02, 0.1), zero_point(g, dtype))
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
    if dtype == "int16":
        x = tensor("x", shape, dtype, float(np.float32(10 ** g.uniform(-5, -2.5))))
        return single("softmax", [x], tensor("y", shape, dtype, 2.0**-15), beta=float(pick(g, 1.0, 1.0, 0.5, 1.3)))
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
    """From float or from the same dtype; 'int16_int8' is from the first to the second."""
    shape, (source, _, other) = (1, int(g.integers(1, 9)), int(g.integers(1, 9))), dtype.partition("_")
    if other:
        ratio = pick(g, 0.5, 0.25, 1.5, float(g.uniform(0.05, 3)), float(10 ** g.uniform(-5, 0)))
        x = tensor("x", shape, source, scale(g), zero_point(g, source) if source == "int8" else 0)
        form = float(np.float32(x.scale / ratio)), zero_point(g, other) if other == "int8" else 0
        return single("quantize", [x], tensor("y", shape, other, *form))
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
    forms: list[Any] = [(None, 0) if dtype in VALUES else (scale(g), zero_point(g, dtype)) for _ in range(3)]
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
    form = (None, 0) if dtype in VALUES else (scale(g), zero_point(g, dtype))
    return single("pad", [tensor("x", shape, dtype, *form), constant("w", widths)], tensor("y", out, dtype, *form))


def _on_numbers_too(op: str, maker: Callable[[Generator, str], Graph]) -> Callable[[Generator, str], Graph]:
    """The maker, but of plain numbers where `op` takes them besides codes."""
    return lambda g, dtype: (MAKERS_NUMBERS[op] if dtype in NUMBERS_TOO.get(op, ()) else maker)(g, dtype)


NUMBERS_TOO = {op: tuple(d for d in kinds if d not in ("int8", "uint8", "int16")) for op, kinds in PLAIN.items()}
"""dtypes of plain numbers that operators on codes take besides."""

MAKERS: dict[str, Callable[[Generator, str], Graph]] = {
    maker.__name__: maker
    for maker in (
        conv2d, depthwise_conv2d, fully_connected, add, average_pool_2d, max_pool_2d, mean, softmax, reshape, squeeze,
        quantize, dequantize, resize_bilinear, concatenation, arg_max, pad,
    )
}  # fmt: skip
MAKERS |= MAKERS_MOVES
MAKERS |= MAKERS_ACTIVATIONS
MAKERS |= MAKERS_PRODUCTS
MAKERS |= MAKERS_MORE
MAKERS |= MAKERS_GLUE
MAKERS["detection_postprocess"] = detection_postprocess
MAKERS = {op: _on_numbers_too(op, maker) for op, maker in MAKERS.items()}


VARIANTS = {
    "batch_matmul": ("int16_int8",),
    "conv2d": ("int16_int32", "int8_int4"),
    "transpose_conv": ("int16_int32",),
    "depthwise_conv2d": ("int8_int4",),
    "fully_connected": ("int16_int32", "int8_int4", "int8_channels_int4"),
    "quantize": ("int16_int8", "int8_int16", "int32_int16", "int16_int32", "int32_int8", "int8_int32"),
}
"""Layers whose bias or weights are not what their activations suggest: int32 under int16, int4 under int8 (of
FULLY_CONNECTED with one scale, as TFLM wants it, or with many); QUANTIZE from one dtype to another.
"""


def dtypes(op: str) -> tuple[str, ...]:
    """What the maker of `op` takes."""
    if op == "detection_postprocess":
        return ("uint8", "float32", "float32_many")
    if op in MAKERS_GLUE:
        return GLUE[op]
    more = op in MAKERS_MORE
    codes_ = (*LITERT[op], *MICRO_ONLY.get(op, ())) if more else ("int8", "uint8", "int16", *VARIANTS.get(op, ()))
    return (*codes_, *NUMBERS_TOO.get(op, ()))


def plain_dtypes(op: str) -> tuple[str, ...]:
    """Dtypes of values that stand for themselves: what operators that only move or compare values take besides."""
    if op == "arg_max":
        return "int32", "float32"
    moving = set(MAKERS_MOVES) - {"mul", "sub"} | {"reshape", "squeeze", "concatenation", "pad"}
    return tuple(dtype for dtype in VALUES if dtype not in NUMBERS_TOO.get(op, ())) if op in moving else ()


def inputs_for(graph: Graph, samples: int, seed: int = 0) -> list[Any]:
    """`probe_inputs`, with floats over more than the range of the codes; every other sample of what is quantized lies
    half-way between codes, or on one, and what a root is taken of is not below 0.
    """
    inputs = probe_inputs(graph, samples, seed)
    place = {index: position for position, index in enumerate(graph.inputs)}
    for position, array in enumerate(inputs):
        if array.dtype == np.float32:
            inputs[position] = array * np.float32(20)
    g = np.random.default_rng(seed)
    for node in graph.nodes:
        if node.op == "detection_postprocess":
            for index in node.inputs[:2]:
                inputs[place[index]] = detection_values(g, graph.tensors[index], inputs[place[index]].shape[0])
        if node.op in ("rsqrt", "sqrt"):
            source, position = graph.tensors[node.inputs[0]], place[node.inputs[0]]
            if source.dtype == "float32":
                inputs[position] = np.abs(inputs[position])
                continue
            inputs[position] = np.maximum(inputs[position], np.asarray(source.zero_point, source.dtype))
        if node.op == "quantize" and graph.tensors[node.inputs[0]].dtype == "float32":
            step, array = np.float32(graph.tensors[node.outputs[0]].scale / 2), inputs[place[node.inputs[0]]]
            array[::2] = np.rint(array[::2] / step) * step
    return inputs


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
