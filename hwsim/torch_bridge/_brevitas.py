"""A Brevitas module to a graph through its integer values.

Brevitas computes on real values that are multiples of scales. Its quantizers say what they give: codes, scale, zero
point and bits. A layer and the quantizer behind it become one layer of codes; what no quantizer follows stays real.
"""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from hwsim.errors import UnsupportedError
from hwsim.graph import Affine
from hwsim.torch_bridge._codes import CodeBuilder
from hwsim.torch_bridge._importer import channels_first, channels_last, pair, reshaped

ACTIVATIONS = ("QuantIdentity", "QuantReLU")
LAYERS = ("QuantConv2d", "QuantLinear")
JOINTS = (operator.add, operator.iadd, torch.add)
FLAT = (torch.flatten, "flatten", "view", "reshape", nn.Flatten)
SAME = (nn.Identity, nn.Dropout, "contiguous")


def is_brevitas(module: nn.Module) -> bool:
    """Whether `module` has layers of Brevitas."""
    return any(type(part).__module__.startswith("brevitas.") for part in module.modules())


class _Tracer(fx.Tracer):  # type: ignore[misc]
    record_stack_traces = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:  # noqa: ARG002
        return type(m).__module__.startswith(("brevitas.", "torch.nn")) and not isinstance(m, nn.Sequential)


class _Values(fx.Interpreter):  # type: ignore[misc]
    def run_node(self, n: fx.Node) -> Any:
        n.meta["val"] = super().run_node(n)
        return n.meta["val"]


def run(module: nn.Module, inputs: Sequence[torch.Tensor], graph: fx.Graph | None = None) -> fx.Graph:
    """The module's graph with every value in `meta["val"]`, in evaluation."""
    module.eval()
    try:
        graph = _Tracer().trace(module) if graph is None else graph
    except Exception as error:
        raise UnsupportedError(f"{type(module).__name__}: torch.fx cannot trace it: {error}") from error
    with torch.no_grad():
        _Values(fx.GraphModule(module, graph)).run(*inputs)
    return graph


def format_of(value: Any) -> tuple[str, Affine]:
    """The dtype and format of a Brevitas tensor's codes."""
    bits, scale = int(value.bit_width), value.scale.detach().reshape(-1).numpy().astype(np.float32)
    point = np.rint(value.zero_point.detach().reshape(-1).numpy()).astype(np.int64)
    if scale.size != 1 or bits > 8:
        raise UnsupportedError(f"activations of {scale.size} scales and {bits} bits; hwsim takes one scale and 8 bits")
    return "int8" if bool(value.signed) else "uint8", Affine(scale, point, None, bits if bits < 8 else None)


class Reader:
    """Writes the graph of a traced module whose values are known."""

    def __init__(self, module: nn.Module, name: str) -> None:
        self.builder, self.parts = CodeBuilder(name), dict(module.named_modules())
        self.values: dict[fx.Node, int] = {}
        self.open: set[int] = set()
        self.outputs: tuple[int, ...] = ()

    def refuse(self, node: fx.Node, why: str) -> UnsupportedError:
        """The error for something that hwsim cannot say, with its source line."""
        trace = [part.strip() for part in (node.meta.get("stack_trace") or "").strip().splitlines()]
        return UnsupportedError(f"{' '.join(trace[-2:]) or node.name}: {why}")

    def read(self, graph: fx.Graph) -> None:
        """Every node in order."""
        for node in graph.nodes:
            if node.op == "placeholder":
                self.values[node] = self.builder.input(node.name, channels_last(node.meta["val"].shape))
            elif node.op == "output":
                self._finish(node)
            else:
                self._read(node)

    def _read(self, node: fx.Node) -> None:
        part = self.parts[node.target] if node.op == "call_module" else node.target
        kind = type(part).__name__
        if kind in ACTIVATIONS:
            self._activation(node, "relu" if kind == "QuantReLU" else "none")
        elif kind in LAYERS:
            self._layer(node, part)
        elif part in FLAT or isinstance(part, nn.Flatten):
            source = self._codes(node)
            if len(self.builder.shape(source)) == 4:
                source = channels_first(self, source, node.name)  # type: ignore[arg-type]
            self.values[node] = reshaped(self, source, tuple(node.meta["val"].shape), node.name)  # type: ignore[arg-type]
        elif part in SAME or isinstance(part, (nn.Identity, nn.Dropout)):
            self.values[node] = self.values[node.args[0]]  # type: ignore[index]
        elif isinstance(part, nn.MaxPool2d):
            self._max_pool(node, part)
        elif part in JOINTS:
            first, second = (self.values[source] for source in node.args)  # type: ignore[index]
            shape = self.builder.shape(first)
            self.values[node] = self.builder.node("add", (first, second), shape, node.name, activation="none")
            self.open.add(self.values[node])
        elif isinstance(part, nn.BatchNorm2d):
            raise self.refuse(node, "a batch norm of its own; merge it (brevitas.nn.utils.merge_bn) and import again")
        else:
            raise self.refuse(node, f"hwsim does not import {kind if node.op == 'call_module' else part} of Brevitas")

    def _codes(self, node: fx.Node) -> int:
        """The tensor that `node` reads, which must be codes."""
        index = self.values[node.args[0]]  # type: ignore[index]
        if index in self.open or self.builder.tensors[index].format is None:
            raise self.refuse(node, "reads real values; put a QuantIdentity before it")
        return index

    def _activation(self, node: fx.Node, activation: str) -> None:
        """Gives what was left open a format, or quantizes what is real."""
        source: Any = node.args[0]
        index, value = self.values[source], node.meta["val"]
        if not hasattr(value, "bit_width") or value.bit_width is None:
            raise self.refuse(node, "gives no integers; set return_quant_tensor=True")
        dtype, form = format_of(value)
        if index in self.open:
            if len(source.users) > 1:
                raise self.refuse(node, f"{source.name!r} has other readers, which hwsim cannot give its real values")
            self.open.discard(index)
            self.builder.set_codes(index, dtype, form)
            self.builder.change_maker(index, activation=activation)
            self.values[node] = index
            return
        held = self.builder.tensors[index]
        if held.format is not None:
            if held.format.same_as(form) and activation == "none":
                self.values[node] = index
                return
            index = self.builder.node("dequantize", (index,), held.shape, f"{node.name}_real")
            self.builder.set_codes(index, "float32", None)
        if activation == "relu":
            index = self.builder.node("relu", (index,), held.shape, f"{node.name}_relu")
        self.values[node] = self.builder.node("quantize", (index,), held.shape, node.name)
        self.builder.set_codes(self.values[node], dtype, form)

    def _layer(self, node: fx.Node, part: Any) -> None:
        source, quantized = self._codes(node), part.quant_weight()
        codes, turn = quantized.int().numpy(), (0, 1)
        options: dict[str, Any] = {"activation": "none"}
        op = "fully_connected"
        if codes.ndim == 4:
            depthwise = part.groups == self.builder.shape(source)[3] and part.groups > 1
            op, turn = ("depthwise_conv2d", (1, 2, 3, 0)) if depthwise else ("conv2d", (0, 2, 3, 1))  # type: ignore[assignment]
            padding = pair(part.padding if not isinstance(part.padding, str) else (0, 0))
            if isinstance(part.padding, str) and part.padding != "valid":
                raise self.refuse(node, f"padding {part.padding!r}; give it in numbers")
            source = self._padded(source, padding, node.name) if padding != (0, 0) else source
            steps = {"stride": pair(part.stride), "dilation": pair(part.dilation)}
            options |= {f"{what}_{axis}": size[i] for what, size in steps.items() for i, axis in enumerate("hw")}
            options |= {"padding": "valid", **({"multiplier": len(codes) // part.groups} if depthwise else {})}
        scale = quantized.scale.detach().reshape(-1).numpy().astype(np.float32)
        bits, axis = int(quantized.bit_width), turn.index(0) if scale.size > 1 else None
        if not bool(quantized.signed) or bool((quantized.zero_point != 0).any()) or bits > 8:
            raise self.refuse(node, f"weights of {bits} bits with a sign {bool(quantized.signed)}; hwsim takes int8")
        weights = self.builder.constant(f"{node.name}_weight", codes.astype(np.int8).transpose(turn))
        form = Affine(scale, np.zeros(scale.size, np.int64), axis, bits if bits < 8 else None)
        self.builder.set_format(weights, form)
        bias = -1 if part.bias is None else self.builder.constant(f"{node.name}_bias", _bias(part))
        shape = channels_last(node.meta["val"].shape)
        self.values[node] = self.builder.node(op, (source, weights, bias), shape, node.name, **options)
        self.open.add(self.values[node])

    def _padded(self, source: int, padding: tuple[int, int], name: str) -> int:
        """Real 0 around an image."""
        borders = np.array([[0, 0], [padding[0]] * 2, [padding[1]] * 2, [0, 0]], np.int32)
        shape = [n + int(border.sum()) for n, border in zip(self.builder.shape(source), borders, strict=True)]
        return self.builder.node(
            "pad", (source, self.builder.constant(f"{name}_borders", borders)), shape, f"{name}_pad"
        )

    def _max_pool(self, node: fx.Node, part: nn.MaxPool2d) -> None:
        if pair(part.padding) != (0, 0) or pair(part.dilation) != (1, 1) or part.ceil_mode:
            raise self.refuse(node, "max pooling with padding, dilation or ceil_mode; hwsim has none here")
        (height, width), (down, along) = pair(part.kernel_size), pair(part.stride)
        self.values[node] = self.builder.node(
            "max_pool_2d", (self._codes(node),), channels_last(node.meta["val"].shape), node.name, padding="valid",
            stride_h=down, stride_w=along, filter_h=height, filter_w=width, activation="none",
        )  # fmt: skip

    def _finish(self, node: fx.Node) -> None:
        """The outputs; a layer without a quantizer behind it gives its exact sums, and their real values."""
        results = node.args[0] if isinstance(node.args[0], tuple | list) else (node.args[0],)
        self.outputs = tuple(self._settled(self.values[result]) for result in results)  # type: ignore[index]
        if self.open:
            left = self.builder.tensors[min(self.open)].name
            raise UnsupportedError(f"{left!r}: no quantizer follows it, and other nodes read its real values")

    def _settled(self, index: int) -> int:
        if index not in self.open:
            return index
        self.open.discard(index)
        maker = next(made for made in self.builder.nodes if made.outputs == (index,))
        if maker.op == "add":
            raise UnsupportedError(f"{maker.name!r}: a sum without a quantizer; put a QuantIdentity behind it")
        source, weights = (self.builder.tensors[i] for i in maker.inputs[:2])
        self.builder.set_codes(index, "int32", None)
        bias = maker.inputs[2]
        self.builder.change_maker(index, (*maker.inputs[:2], -1))
        numbers = [("mul", source.affine.scale), ("mul", weights.affine.scale)]
        numbers += [] if bias < 0 else [("add", self.builder.tensors[bias].data)]  # type: ignore[list-item]
        value = self.builder.node("cast", (index,), self.builder.shape(index), f"{maker.name}_real")
        self.builder.set_codes(value, "float32", None)
        for op, factor in numbers:
            constant = self.builder.constant(f"{maker.name}_{op}_by", factor)
            shape = self.builder.shape(index)
            value = self.builder.node(op, (value, constant), shape, f"{maker.name}_{op}", activation="none")
        return value


def _bias(part: Any) -> Any:
    """A layer's bias as it computes with it, float32."""
    quantized = part.quant_bias() if part.bias_quant.is_quant_enabled else None
    return (part.bias if quantized is None else quantized.value).detach().numpy().astype(np.float32)
