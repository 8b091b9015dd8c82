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
    "QuantizeLinear": (("quantize",), ("uint8", "int8")),
}
OPSET, IR_VERSION = 21, 10


def make(operator: str, op: str, kind: str, g: Generator) -> Graph:
    """A random graph of one `op` that ONNX's `operator` can compute on codes of `kind`."""
    if op == "quantize":
        x = tensor("x", (1, int(g.integers(1, 300))), "float32", None)
        return _single(op, [x], tensor("y", x.shape, kind, scale(g), zero_point(g, kind)))
    dtype, *weights = kind.split()
    graph = MAKERS[op](g, dtype)
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
    return np.ascontiguousarray(out.transpose(0, 2, 3, 1)) if "Conv" in operator else out


def to_onnx(operator: str, graph: Graph, inputs: list[Array]) -> tuple[bytes, dict[str, Array]]:
    """The model's bytes and its inputs."""
    from onnx import TensorProto, helper, numpy_helper

    writer = {"QuantizeLinear": _quantize, "QLinearAdd": _binary, "QLinearMul": _binary}.get(operator, _layer)
    feed, constants, names, attributes = writer(operator, graph, inputs)
    domain = "com.microsoft" if operator in ("QLinearAdd", "QLinearMul", "QGemm") else ""
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


def _single(op: str, inputs: list[Tensor], output: Tensor) -> Graph:
    from tests.build import single

    return single(op, [*inputs], output)
