"""What a one-operator graph gives under an engine, by the slow oracles in `tests.naive`.

The table of rules is written here once more, apart from the package, from the engines' sources.
"""

from typing import Any

import numpy as np

from hwsim.graph import Graph, Tensor
from tests import naive
from tests.oracle_activations import HANDLERS_ACTIVATIONS
from tests.oracle_more import HANDLERS_MORE
from tests.oracle_moves import HANDLERS_MOVES

Array = np.ndarray[Any, Any]
Pair = tuple[float, int]

ACCUMULATING = {  # engine: dtype: (rounding, scale arithmetic); per operator where they differ
    "litert-reference": {"int8": ("double_rounding", "float64"), "uint8": ("double_rounding", "float32_product")},
    "litert-optimized": {"int8": ("double_half_up", "float64"), "uint8": ("double_half_up", "float32_product")},
    "xnnpack": {"int8": ("float32", "float32"), "uint8": ("float32", "float32")},
    "tflite-micro": {"int8": ("double_rounding", "float64")},
}
STYLES = {
    "add": ("reference", "optimized", "xnnpack"),
    "mean": ("reference", "optimized", "xnnpack"),
    "softmax": ("fixed_point", "float_table", "float_table"),
    "quantize": ("reference", "optimized", "xnnpack"),
    "requantize": ("double_rounding", "optimized", "xnnpack"),
    "dequantize": ("reference", "optimized", "reference"),
}


def style(op: str, engine: str) -> str:
    """The oracle's rule of an operator under an engine."""
    column = {"litert-reference": 0, "tflite-micro": 0, "litert-optimized": 1, "xnnpack": 2}[engine]
    return STYLES[op][column]


def evaluate(graph: Graph, inputs: list[Array], engine: str) -> Array:
    """The output of the graph's only node, for one sample."""
    node = graph.nodes[0]
    given = dict(zip(graph.inputs, inputs, strict=True))
    tensors = [graph.tensors[i] if i >= 0 else None for i in node.inputs]
    values = [None if t is None else given[i] if t.data is None else t.data
              for i, t in zip(node.inputs, tensors, strict=True)]  # fmt: skip
    return HANDLERS[node.op](node.attributes, tensors, values, graph.tensors[node.outputs[0]], engine)


def _pair(tensor: Tensor) -> Pair:
    return float(tensor.format.scale[0]), int(tensor.format.zero_point[0])  # type: ignore[union-attr]


def _clamp(options: Any, output: Tensor) -> tuple[int, int]:
    return naive.activation_range(options.get("activation", "none"), *_pair(output), output.dtype)


def _finish(acc: Array, rule: tuple[str, str], tensors: list[Any], options: Any, output: Tensor) -> Array:
    scales = [float(s) for s in tensors[1].format.scale]
    effective = naive.effective_scales(rule[1], _pair(tensors[0])[0], scales, _pair(output)[0])
    return naive.output_stage(acc, rule[0], effective, _pair(output)[1], *_clamp(options, output), output.dtype)


def _zero_points(tensors: list[Any]) -> dict[str, int]:
    return {"input_zero_point": _pair(tensors[0])[1], "weight_zero_point": int(tensors[1].format.zero_point[0])}


def _moving(options: Any) -> dict[str, Any]:
    pairs = {"stride": ("stride_h", "stride_w"), "dilation": ("dilation_h", "dilation_w")}
    return {name: (options[a], options[b]) for name, (a, b) in pairs.items()} | {"padding": options["padding"]}


def conv2d(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    acc = naive.conv2d(*values, **_moving(options), **_zero_points(tensors))
    return _finish(acc, ACCUMULATING[engine][output.dtype], tensors, options, output)


def depthwise_conv2d(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    acc = naive.depthwise_conv2d(*values, **_moving(options), **_zero_points(tensors))
    rounding, scale = ACCUMULATING[engine][output.dtype]
    if engine == "litert-optimized":
        rounding = "optimized_depthwise" if output.dtype == "int8" else "double_rounding"
    return _finish(acc, (rounding, scale), tensors, options, output)


def fully_connected(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    acc = naive.fully_connected(values[0], values[1], values[2], **_zero_points(tensors))
    rounding, scale = ACCUMULATING[engine][output.dtype]
    if engine == "litert-reference":
        rounding, scale = "float64", "float64"
    elif engine == "litert-optimized" and tensors[1].format.scale.size == 1:
        scale = "float32_product"
    return _finish(acc, (rounding, scale), tensors, options, output)


def add(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    pairs = [_pair(tensors[0]), _pair(tensors[1]), _pair(output)]
    return naive.add(*values, *pairs, *_clamp(options, output), style("add", engine))


def _pool(function: Any, options: Any, values: Any, output: Tensor) -> Array:
    size, stride = (options["filter_h"], options["filter_w"]), (options["stride_h"], options["stride_w"])
    return function(values[0], size, stride, options["padding"], *_clamp(options, output))


def average_pool_2d(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _pool(naive.average_pool_2d, options, values, output)


def max_pool_2d(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _pool(naive.max_pool_2d, options, values, output)


def mean(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    axes = tuple(int(a) for a in np.atleast_1d(values[1]))
    rule = style("mean", engine)
    if rule == "optimized" and (axes != (1, 2) or not options["keep_dims"]):
        rule = "reference"
    return naive.mean(values[0], axes, _pair(tensors[0]), _pair(output), rule, options["keep_dims"])


def softmax(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return naive.softmax(values[0], _pair(tensors[0])[0], style("softmax", engine), output.dtype, options["beta"])


def reshape(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return naive.reshape(values[0], output.shape)


def quantize(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    if tensors[0].format is None:
        return naive.quantize(values[0], *_pair(output), output.dtype, style("quantize", engine))
    rule = style("requantize", engine)
    if rule == "xnnpack" and not 2**-8 <= np.float32(_pair(tensors[0])[0]) / np.float32(_pair(output)[0]) <= 2**7:
        rule = "optimized"  # the delegate leaves it to LiteRT
    return naive.requantize(values[0], _pair(tensors[0]), _pair(output), output.dtype, rule)


def dequantize(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return naive.dequantize(values[0], *_pair(tensors[0]), style("dequantize", engine))


def resize_bilinear(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    byte = {"litert-reference": "float", "litert-optimized": "float_optimized"}
    rule = "xnnpack" if engine == "xnnpack" else byte[engine] if output.dtype == "uint8" else "reference"
    size = int(values[1][0]), int(values[1][1])
    return naive.resize_bilinear(values[0], size, rule, options["align_corners"], options["half_pixel_centers"])


def concatenation(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return naive.concatenation(values, [_pair(t) for t in tensors], _pair(output), options["axis"])


def arg_max(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return naive.arg_max(values[0], int(values[1].reshape(-1)[0]), output.dtype)


def pad(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return naive.pad(values[0], [(int(a), int(b)) for a, b in values[1]], _pair(output)[1])


HANDLERS = {
    handler.__name__: handler
    for handler in (
        conv2d, depthwise_conv2d, fully_connected, add, average_pool_2d, max_pool_2d, mean, softmax, reshape,
        quantize, dequantize, resize_bilinear, concatenation, arg_max, pad,
    )
} | {"squeeze": reshape}  # fmt: skip
HANDLERS |= HANDLERS_MOVES
HANDLERS |= HANDLERS_ACTIVATIONS
HANDLERS |= HANDLERS_MORE
