"""Random single operators as hwsim graphs and as PyTorch's quantized operators, side by side. Needs torch."""

from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.graph import Graph
from tests.build import tensor
from tests.naive import same_padding
from tests.random_graphs import MAKERS, Generator, scale

Array = np.ndarray[Any, Any]

OPERATORS = {"linear": ("fully_connected",), "conv2d": ("conv2d", "depthwise_conv2d")}
BACKENDS = ("fbgemm", "qnnpack")


def make(op: str, g: Generator) -> Graph:
    """A random graph of one `op` on uint8 codes with int8 weights, as PyTorch has them, without an activation."""
    while True:
        graph = MAKERS[op](g, "uint8")
        pads = _pads(graph)
        if all(before == after for before, after in pads):
            break
    tensors, node = list(graph.tensors), graph.nodes[0]
    shape, si = tensors[1].shape, tensors[0].scale
    axis = 3 if op == "depthwise_conv2d" else 0
    per_channel = bool(g.integers(2))
    scales: Any = g.uniform(0.01, 0.1, shape[axis]).astype(np.float32) if per_channel else scale(g)
    weights = g.integers(-128, 128, shape)
    tensors[1] = tensor("w", shape, "int8", scales, 0, axis if per_channel else None, weights)
    bias = node.inputs[2] if len(node.inputs) > 2 else -1
    if bias >= 0:
        units = np.float32(si) * tensors[1].affine.scale
        data, channels = tensors[bias].data, tensors[bias].shape
        form: Any = units if per_channel else units[0]
        tensors[bias] = tensor("b", channels, "int32", form, 0, 0 if per_channel else None, data)
    node = replace(node, attributes={**node.attributes, "activation": "none"})
    return replace(graph, tensors=tuple(tensors), nodes=(node,))


def run_torch(backend: str, operator: str, graph: Graph, x: Array) -> Array:
    """What PyTorch's `operator` gives on `backend`, in hwsim's layout."""
    import torch

    torch.backends.quantized.engine = backend
    ops: Any = torch.ops.quantized
    node, source, w, y = graph.nodes[0], graph.tensors[0], graph.tensors[1], graph.tensors[-1]
    assert w.data is not None
    form, data = w.affine, w.data
    if operator == "conv2d":
        order = (3, 0, 1, 2) if node.op == "depthwise_conv2d" else (0, 3, 1, 2)
        x, data = x.transpose(0, 3, 1, 2), data.transpose(order)
    weights = _quantized(torch, data, form.scale, 0, torch.qint8, per_channel=form.axis is not None)
    bias = node.inputs[2] if len(node.inputs) > 2 else -1
    real = None if bias < 0 else torch.from_numpy(real_bias(graph, bias))
    given = _quantized(torch, x, source.affine.scale, source.zero_point, torch.quint8, per_channel=False)
    if operator == "linear":
        out = ops.linear(given, ops.linear_prepack(weights, real), y.scale, y.zero_point)
        return np.asarray(out.int_repr().numpy())
    a = node.attributes
    pads = [before for before, _ in _pads(graph)]
    groups = source.shape[3] if node.op == "depthwise_conv2d" else source.shape[3] // w.shape[3]
    moving = [a["stride_h"], a["stride_w"]], pads, [a["dilation_h"], a["dilation_w"]], groups
    out = ops.conv2d(given, ops.conv2d_prepack(weights, real, *moving), y.scale, y.zero_point)
    return np.ascontiguousarray(out.int_repr().numpy().transpose(0, 2, 3, 1))


def real_bias(graph: Graph, index: int) -> Array:
    """The bias as float32."""
    t = graph.tensors[index]
    assert t.data is not None
    return (t.data * t.affine.scale.astype(np.float64)).astype(np.float32)


def _quantized(torch: Any, data: Array, scales: Array, zero_point: int, kind: Any, *, per_channel: bool) -> Any:
    """Codes as a quantized tensor, unchanged."""
    values = torch.from_numpy(np.array(data, order="C"))
    if not per_channel:
        return torch._make_per_tensor_quantized_tensor(values, float(scales[0]), zero_point)
    points = torch.zeros(len(scales), dtype=torch.int64)
    return torch._make_per_channel_quantized_tensor(values, torch.from_numpy(scales.astype(np.float64)), points, 0)


def _pads(graph: Graph) -> list[tuple[int, int]]:
    """Padding before and after, of height and width."""
    node, a = graph.nodes[0], graph.nodes[0].attributes
    if a.get("padding") != "same":
        return [(0, 0), (0, 0)]
    size = graph.tensors[1].shape[1:3]
    steps = zip(graph.tensors[0].shape[1:3], size, ("h", "w"), strict=True)
    assert node.op.endswith("conv2d")
    return [same_padding(n, k, a[f"stride_{s}"], a[f"dilation_{s}"])[:2] for n, k, s in steps]  # type: ignore[call-overload]
