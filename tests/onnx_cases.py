"""Random single operators as hwsim graphs and as ONNX models, side by side. Needs the packages onnx and onnxruntime."""

from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.graph import Graph, Tensor
from tests.build import codes, tensor
from tests.naive import same_padding
from tests.random_graphs import MAKERS, Generator, scale, zero_point

Array = np.ndarray[Any, Any]

OPERATORS = {  # ONNX operator: (hwsim's operators, kinds of (input, weights))
    "QLinearConv": (("conv2d", "depthwise_conv2d"), ("uint8 uint8", "uint8 int8", "int8 int8")),
    "QLinearMatMul": (("fully_connected",), ("uint8 uint8", "uint8 int8", "int8 int8")),
    "QGemm": (("fully_connected",), ("uint8 uint8", "uint8 int8", "int8 int8")),
    "ConvInteger": (("conv2d",), ("uint8 uint8", "uint8 int8")),
    "MatMulInteger": (("fully_connected",), ("uint8 uint8", "uint8 int8", "int8 int8")),
    "QLinearAdd": (("add",), ("uint8", "int8")),
    "QLinearMul": (("mul",), ("uint8", "int8")),
    "QLinearAveragePool": (("average_pool_2d",), ("uint8", "int8")),
    "QLinearGlobalAveragePool": (("mean",), ("uint8", "int8")),
    "QLinearConcat": (("concatenation",), ("uint8", "int8")),
    "QLinearSoftmax": (("softmax",), ("uint8", "int8")),
    "QLinearLeakyRelu": (("leaky_relu",), ("uint8", "int8")),
    "QLinearSigmoid": (("logistic",), ("uint8", "int8")),
    "MaxPool": (("max_pool_2d",), ("uint8", "int8")),
    "QuantizeLinear": (("quantize",), ("uint8", "int8")),
    "DequantizeLinear": (("dequantize",), ("uint8", "int8")),
}
STANDARD = {
    "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "MaxPool", "QuantizeLinear", "DequantizeLinear",
}  # fmt: skip
ONE_FORM = {
    "QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearConcat", "QLinearSoftmax", "QLinearLeakyRelu",
    "QLinearSigmoid", "MaxPool", "DequantizeLinear",
}  # fmt: skip
"""Operators without weights."""
OPSET, IR_VERSION = 21, 10


def make(operator: str, op: str, kind: str, g: Generator) -> Graph:
    """A random graph of one `op` that ONNX's `operator` can compute on codes of `kind`."""
    if op == "quantize":
        x = tensor("x", (1, int(g.integers(1, 300))), "float32", None)
        return _single(op, [x], tensor("y", x.shape, kind, scale(g), zero_point(g, kind)))
    dtype, *weights = kind.split()
    graph = MAKERS[op](g, dtype)
    if operator in ONE_FORM:
        return _reformed(graph, operator, kind, g)
    tensors = list(graph.tensors)
    if weights and weights != [dtype]:
        data = codes(g, tensors[1].shape, weights[0])
        tensors[1] = replace(tensors[1], dtype="int8", format=tensor("w", (1,), "int8", scale(g)).format, data=data)
    node = graph.nodes[0]
    attributes = {**node.attributes, "activation": "none"}
    inputs = node.inputs
    if operator in ("QLinearMatMul", "MatMulInteger", "ConvInteger"):
        inputs = (*inputs[:2], -1)
    if operator.endswith("Integer"):
        tensors[-1] = replace(tensors[-1], dtype="int32", format=None)
    if operator == "QGemm" and inputs[-1] < 0:
        return make(operator, op, kind, g)
    return replace(graph, tensors=tuple(tensors), nodes=(replace(node, inputs=inputs, attributes=attributes),))


def _reformed(graph: Graph, operator: str, kind: str, g: Generator) -> Graph:
    """Without a fused activation, and with formats and options as only ONNX Runtime has them."""
    node, tensors = graph.nodes[0], list(graph.tensors)
    if operator == "QLinearGlobalAveragePool" and tuple(tensors[node.inputs[1]].data) != (1, 2):  # type: ignore[arg-type]
        return make(operator, node.op, kind, g)
    attributes = {**node.attributes}
    if "activation" in attributes:
        attributes["activation"] = "none"
    if operator == "QLinearConcat" and g.integers(4):
        for i in node.inputs:
            tensors[i] = tensor(tensors[i].name, tensors[i].shape, kind, scale(g), zero_point(g, kind))
    if operator == "QLinearAveragePool" and g.integers(2):
        form = scale(g), zero_point(g, kind)
        tensors[-1] = tensor("y", tensors[-1].shape, kind, *form)
    if operator in ("QLinearSoftmax", "QLinearSigmoid"):
        form = (1 / 256, int(np.iinfo(kind).min)) if g.integers(2) else (scale(g, 0.002, 0.02), zero_point(g, kind))
        tensors[-1] = tensor("y", tensors[-1].shape, kind, *form)
    return replace(graph, tensors=tuple(tensors), nodes=(replace(node, attributes=attributes),))


def random_inputs(graph: Graph, g: Generator, samples: int = 3) -> list[Array]:
    """Codes of the whole range; reals on and between multiples of half the output's scale, and beyond its codes."""
    found = []
    for index in graph.inputs:
        t = graph.tensors[index]
        if t.dtype == "float32":
            step = np.float32(graph.tensors[-1].scale) / np.float32(2)
            found.append((g.integers(-600, 600, (samples, *t.shape[1:])) * step).astype(np.float32))
            found[-1] += (g.integers(0, 2, found[-1].shape) * g.normal(0, 0.1, found[-1].shape)).astype(np.float32)
        else:
            found.append(codes(g, (samples, *t.shape[1:]), t.dtype))
    return found


def run_onnx(operator: str, graph: Graph, inputs: list[Array]) -> Array:
    """What ONNX Runtime gives for `graph` as `operator`, in hwsim's layout."""
    import onnxruntime

    model, feed = to_onnx(operator, graph, inputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (out,) = session.run(None, feed)
    return np.ascontiguousarray(out.transpose(0, 2, 3, 1)) if _channels_first(operator) else out


def _channels_first(operator: str) -> bool:
    return "Conv" in operator or "Pool" in operator


def to_onnx(operator: str, graph: Graph, inputs: list[Array]) -> tuple[bytes, dict[str, Array]]:
    """The model's bytes and its inputs."""
    from onnx import TensorProto, helper, numpy_helper

    writers = {"QuantizeLinear": _quantize, "QLinearAdd": _binary, "QLinearMul": _binary, "QLinearConcat": _concat}
    writer = writers.get(operator, _function if operator in ONE_FORM else _layer)
    feed, constants, names, attributes = writer(operator, graph, inputs)
    domain = "" if operator in STANDARD else "com.microsoft"
    kinds = {
        "uint8": TensorProto.UINT8,
        "int8": TensorProto.INT8,
        "int32": TensorProto.INT32,
        "float32": TensorProto.FLOAT,
    }
    node = helper.make_node(operator, names, ["y"], domain=domain, **attributes)
    given = [helper.make_tensor_value_info(n, kinds[v.dtype.name], v.shape) for n, v in feed.items()]
    output = helper.make_tensor_value_info("y", kinds[graph.tensors[-1].dtype], None)
    stored = [numpy_helper.from_array(np.array(v, order="C"), n) for n, v in constants.items()]
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(helper.make_graph([node], "one", given, [output], stored), opset_imports=opsets)
    model.ir_version = IR_VERSION
    return model.SerializeToString(), feed


def _form(name: str, t: Tensor) -> dict[str, Array]:
    form = t.affine
    count = form.scale.size
    point = form.zero_point.astype(t.dtype) if count == 1 else np.zeros(count, t.dtype)
    return {
        f"{name}_scale": form.scale[0] if count == 1 else form.scale,
        f"{name}_zero": point[0] if count == 1 else point,
    }


def _layer(operator: str, graph: Graph, inputs: list[Array]) -> tuple[Any, Any, list[str], dict[str, Any]]:
    x, w, y, node = graph.tensors[0], graph.tensors[1], graph.tensors[-1], graph.nodes[0]
    assert w.data is not None
    attributes: dict[str, Any] = {}
    feed, weights = {"x": inputs[0]}, w.data.T if operator != "QGemm" else w.data
    if "Conv" in operator:
        feed["x"] = np.ascontiguousarray(inputs[0].transpose(0, 3, 1, 2))
        depthwise = node.op == "depthwise_conv2d"
        weights = w.data.transpose(3, 0, 1, 2) if depthwise else w.data.transpose(0, 3, 1, 2)
        attributes = _moving(node.attributes, x, weights.shape[2:])
        attributes["group"] = x.shape[3] if depthwise else x.shape[3] // w.shape[3]
    elif operator == "QGemm":
        attributes["transB"] = 1
    constants = {"w": weights} | _form("x", x) | _form("w", w)
    if operator.endswith("Integer"):
        return feed, constants, ["x", "w", "x_zero", "w_zero"], attributes
    constants |= _form("y", y)
    bias = node.inputs[2] if len(node.inputs) > 2 else -1
    if bias >= 0:
        constants["b"] = graph.tensors[bias].data
    names = ["x", "x_scale", "x_zero", "w", "w_scale", "w_zero"]
    if operator == "QGemm":
        return feed, constants, [*names, "b", "y_scale", "y_zero"], attributes
    return feed, constants, [*names, "y_scale", "y_zero"] + (["b"] if bias >= 0 else []), attributes


def _moving(options: Any, x: Tensor, size: Any) -> dict[str, Any]:
    pads = [(0, 0), (0, 0)]
    if options["padding"] == "same":
        steps = zip(x.shape[1:3], size, ("h", "w"), strict=True)
        pads = [same_padding(n, k, options[f"stride_{a}"], options[f"dilation_{a}"])[:2] for n, k, a in steps]
    return {
        "strides": [options["stride_h"], options["stride_w"]],
        "dilations": [options["dilation_h"], options["dilation_w"]],
        "pads": [pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
    }


def _binary(operator: str, graph: Graph, inputs: list[Array]) -> tuple[Any, Any, list[str], dict[str, Any]]:
    first, second = (graph.tensors[i] for i in graph.nodes[0].inputs)
    given, feed, constants = iter(inputs), {}, {}
    for name, t in (("a", first), ("b", second)):
        if t.data is None:
            feed[name] = next(given)
        else:
            constants[name] = t.data
        constants |= _form(name, t)
    constants |= _form("y", graph.tensors[graph.outputs[0]])
    return feed, constants, ["a", "a_scale", "a_zero", "b", "b_scale", "b_zero", "y_scale", "y_zero"], {}


def _quantize(operator: str, graph: Graph, inputs: list[Array]) -> tuple[Any, Any, list[str], dict[str, Any]]:
    return {"x": inputs[0]}, _form("y", graph.tensors[-1]), ["x", "y_scale", "y_zero"], {}


def _concat(operator: str, graph: Graph, inputs: list[Array]) -> tuple[Any, Any, list[str], dict[str, Any]]:
    node = graph.nodes[0]
    feed = dict(zip("ab", inputs, strict=True))
    constants, names = _form("y", graph.tensors[-1]), ["y_scale", "y_zero"]
    for name, index in zip("ab", node.inputs, strict=True):
        constants |= _form(name, graph.tensors[index])
        names += [name, f"{name}_scale", f"{name}_zero"]
    return feed, constants, names, {"axis": node.attributes["axis"]}


def _function(operator: str, graph: Graph, inputs: list[Array]) -> tuple[Any, Any, list[str], dict[str, Any]]:
    node, x, y = graph.nodes[0], graph.tensors[0], graph.tensors[-1]
    feed = {"x": np.ascontiguousarray(inputs[0].transpose(0, 3, 1, 2)) if _channels_first(operator) else inputs[0]}
    attributes: dict[str, Any] = {}
    if operator in ("MaxPool", "QLinearAveragePool"):
        size = node.attributes["filter_h"], node.attributes["filter_w"]
        attributes = _moving({**node.attributes, "dilation_h": 1, "dilation_w": 1}, x, size) | {"kernel_shape": size}
        attributes.pop("dilations")
    elif operator == "QLinearSoftmax":
        attributes = {"axis": -1, "opset": 13}
    elif operator == "QLinearLeakyRelu":
        attributes = {"alpha": node.attributes["alpha"]}
    if operator == "MaxPool":
        return feed, {}, ["x"], attributes
    if operator == "DequantizeLinear":
        return feed, _form("x", x), ["x", "x_scale", "x_zero"], attributes
    return feed, _form("x", x) | _form("y", y), ["x", "x_scale", "x_zero", "y_scale", "y_zero"], attributes


def _single(op: str, inputs: list[Tensor], output: Tensor) -> Graph:
    from tests.build import single

    return single(op, [*inputs], output)
