"""What a one-operator graph gives under an engine, by the slow oracles in `tests.naive`.

The table of rules is written here once more, apart from the package, from the engines' sources.
"""

from typing import Any

import numpy as np

from hwsim.graph import Graph, Tensor
from tests import naive
from tests.oracle_activations import HANDLERS_ACTIVATIONS
from tests.oracle_detection import HANDLERS_DETECTION
from tests.oracle_glue import HANDLERS_GLUE
from tests.oracle_int16 import softmax as softmax_int16
from tests.oracle_more import HANDLERS_MORE
from tests.oracle_moves import HANDLERS_MOVES, broadcast_run
from tests.oracle_products import HANDLERS_PRODUCTS

Array = np.ndarray[Any, Any]
Pair = tuple[float, int]

INT16_SUMS = {  # engine: (rounding, scale arithmetic) of convolutions with int32 sums; int64 ones are alike everywhere
    "litert-reference": ("double_rounding", "float64"),
    "litert-optimized": ("double_half_up", "float64"),
    "xnnpack": ("double_half_up", "float64"),
    "tflite-micro": ("double_rounding", "float64"),
}
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


def _bits(tensors: list[Any], options: Any, engine: str) -> int:
    """Width of the sums of int16 layers: TFLM's bias, otherwise the option."""
    if tensors[0].dtype != "int16":
        return 32
    if engine == "tflite-micro" and tensors[2] is not None:
        return {"int32": 32, "int64": 64}[tensors[2].dtype]
    return 32 if options.get("quantized_bias_type") == "int32" else 64


def _delegate(engine: str, tensors: list[Any]) -> str:
    """XNNPACK leaves int4 weights of convolutions, and odd rows of them, to LiteRT."""
    weights = tensors[1]
    kept = len(weights.shape) == 2 and weights.shape[1] % 2 == 0
    return "litert-optimized" if engine == "xnnpack" and weights.affine.bits == 4 and not kept else engine


def _rule(tensors: list[Any], engine: str, bits: int) -> tuple[str, str]:
    if tensors[0].dtype == "int16":
        return INT16_SUMS[engine] if bits == 32 else ("reduced_int64", "float64")
    return ACCUMULATING[engine][tensors[0].dtype]


def _zero_points(tensors: list[Any]) -> dict[str, int]:
    return {"input_zero_point": _pair(tensors[0])[1], "weight_zero_point": int(tensors[1].format.zero_point[0])}


def _moving(options: Any) -> dict[str, Any]:
    pairs = {"stride": ("stride_h", "stride_w"), "dilation": ("dilation_h", "dilation_w")}
    return {name: (options[a], options[b]) for name, (a, b) in pairs.items()} | {"padding": options["padding"]}


def conv2d(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    bits, engine = _bits(tensors, options, engine), _delegate(engine, tensors)
    groups = tensors[0].shape[3] // tensors[1].shape[3]
    engine = "litert-reference" if engine == "litert-optimized" and groups > 1 else engine
    acc = naive.conv2d(*values, **_moving(options), **_zero_points(tensors), groups=groups, accumulator_bits=bits)
    return _finish(acc, _rule(tensors, engine, bits), tensors, options, output)


def depthwise_conv2d(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    bits, engine = _bits(tensors, options, engine), _delegate(engine, tensors)
    acc = naive.depthwise_conv2d(*values, **_moving(options), **_zero_points(tensors), accumulator_bits=bits)
    rounding, scale = _rule(tensors, engine, bits)
    if engine == "litert-optimized" and output.dtype != "int16":
        rounding = "optimized_depthwise" if output.dtype == "int8" else "double_rounding"
    return _finish(acc, (rounding, scale), tensors, options, output)


def fully_connected(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    bits, engine = _bits(tensors, options, engine), _delegate(engine, tensors)
    acc = naive.fully_connected(values[0], values[1], values[2], **_zero_points(tensors), accumulator_bits=bits)
    rounding, scale = _rule(tensors, engine, bits)
    if engine == "xnnpack" and output.dtype == "int16":
        engine = "litert-optimized"
    if engine == "litert-optimized" and tensors[2] is None and options.get("quantized_bias_type") == "float32":
        bits, rounding = 32, "double_half_up"
    if engine == "litert-reference" or (engine == "litert-optimized" and bits == 64):
        rounding, scale = "float64", "float64"
    elif engine == "litert-optimized" and tensors[1].format.scale.size == 1:
        scale = "float32_product"
    return _finish(acc, (rounding, scale), tensors, options, output)


def add(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    pairs = [_pair(tensors[0]), _pair(tensors[1]), _pair(output)]
    engine = "litert-optimized" if engine == "xnnpack" and output.dtype == "int16" else engine
    run, both = broadcast_run(tensors)
    if output.dtype == "int16" and tensors[0].shape != tensors[1].shape:
        run = 1
    body = output.dtype if both else "uint8"  # bytes against one code are added as uint8
    whole = run // (8 if body == "uint8" else 16) * (8 if body == "uint8" else 16)
    spread = np.broadcast_arrays(*values)
    kinds = [body if n % run < whole else "reference" for n in range(spread[0].size)]
    return naive.add(*spread, *pairs, *_clamp(options, output), style("add", engine), kinds)


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
    if output.dtype == "int16" or (rule == "optimized" and (axes != (1, 2) or not options["keep_dims"])):
        rule = "reference"
    return naive.mean(values[0], axes, _pair(tensors[0]), _pair(output), rule, options["keep_dims"])


def softmax(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    if tensors[0].dtype == "int16":
        rows = values[0].reshape(-1, values[0].shape[-1]).tolist()
        codes = [softmax_int16(row, _pair(tensors[0])[0], options["beta"], engine) for row in rows]
        return np.array(codes, output.dtype).reshape(output.shape)
    return naive.softmax(values[0], _pair(tensors[0])[0], style("softmax", engine), output.dtype, options["beta"])


def reshape(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return naive.reshape(values[0], output.shape)


def quantize(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    wide = {tensors[0].dtype, output.dtype} & {"int16", "int32"}
    if tensors[0].format is None:
        engine = "litert-optimized" if engine == "xnnpack" and wide else engine
        return naive.quantize(values[0], *_pair(output), output.dtype, style("quantize", engine))
    rule = "double_rounding" if wide else style("requantize", engine)
    if rule == "xnnpack" and not 2**-8 <= np.float32(_pair(tensors[0])[0]) / np.float32(_pair(output)[0]) <= 2**7:
        rule = "optimized"  # the delegate leaves it to LiteRT
    return naive.requantize(values[0], _pair(tensors[0]), _pair(output), output.dtype, rule)


def dequantize(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    rule = "reference" if tensors[0].dtype == "int16" else style("dequantize", engine)
    return naive.dequantize(values[0], *_pair(tensors[0]), rule)


def resize_bilinear(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    byte = {"litert-reference": "float", "litert-optimized": "float_optimized"}
    delegated = engine == "xnnpack" and output.dtype != "int16"
    rule = "xnnpack" if delegated else byte[engine] if output.dtype == "uint8" else "reference"
    size = int(values[1][0]), int(values[1][1])
    return naive.resize_bilinear(values[0], size, rule, options["align_corners"], options["half_pixel_centers"])


def concatenation(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    if output.dtype == "int16":  # copied whatever the scales
        return naive.concatenation(values, [_pair(output)] * len(tensors), _pair(output), options["axis"])
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
HANDLERS |= HANDLERS_PRODUCTS
HANDLERS |= HANDLERS_MORE
HANDLERS |= HANDLERS_DETECTION
HANDLERS |= HANDLERS_GLUE
