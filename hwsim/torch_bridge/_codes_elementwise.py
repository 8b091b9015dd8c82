"""Torch's quantized operators beside layers: sums, products, pools, functions of one code."""

from typing import Any

import numpy as np
import torch
from torch import fx

from hwsim.torch_bridge._aten_moves import cat
from hwsim.torch_bridge._codes import CodeImporter, held, on_codes
from hwsim.torch_bridge._codes_layers import activation
from hwsim.torch_bridge._importer import argument, pair

CODE_COUNT = 256
TAIL = 32
"""So few elements are computed one by one, not in vectors."""


@on_codes("aten.quantize_per_tensor.default", "aten.quantize_per_tensor.tensor_qparams")
def _quantize(to: CodeImporter, node: fx.Node) -> None:
    to.add(node, "quantize", (to.value(node.args[0]),))


@on_codes("aten.dequantize.self")
def _dequantize(to: CodeImporter, node: fx.Node) -> None:
    to.add(node, "dequantize", (to.value(node.args[0]),))


@on_codes("quantized.add.default", "quantized.add_relu.default")
def _add(to: CodeImporter, node: fx.Node) -> None:
    first, second = (source.meta["val"] for source in node.args[:2])  # type: ignore[union-attr]
    if first.shape != second.shape:
        raise to.refuse(
            node, f"adds {list(first.shape)} and {list(second.shape)}; hwsim knows sums of equal shapes only"
        )
    for value in (first, second):
        if value.dim() == 4 and not value.is_contiguous(memory_format=torch.channels_last):
            raise to.refuse(
                node, "adds images that do not lie channels last in memory, where the last bit depends on the order; "
                "call .contiguous(memory_format=torch.channels_last) on the network's input"
            )  # fmt: skip
    to.add(node, "add", (to.value(node.args[0]), to.value(node.args[1])), activation=activation(node))


@on_codes("quantized.mul.default", "quantized.mul_relu.default")
def _mul(to: CodeImporter, node: fx.Node) -> None:
    to.add(node, "mul", (to.value(node.args[0]), to.value(node.args[1])), activation=activation(node))


@on_codes("aten.relu.default", "aten.relu_.default")
def _relu(to: CodeImporter, node: fx.Node) -> None:
    to.add(node, "relu", (to.value(node.args[0]),))


@on_codes("aten.cat.default")
def _cat(to: CodeImporter, node: fx.Node) -> None:
    output = held(node.meta["val"])[1]
    for part in node.args[0]:  # type: ignore[union-attr]
        form = held(part.meta["val"])[1]  # type: ignore[union-attr]
        if form is None or not form.same_as(output):
            raise to.refuse(node, f"joins codes of {form} into {output}; hwsim joins codes of one format")
    cat(to, node)


@on_codes("aten.quantized_max_pool2d.default")
def _max_pool(to: CodeImporter, node: fx.Node) -> None:
    if pair(argument(node, 4, 1)) != (1, 1) or argument(node, 5, False):
        raise to.refuse(node, "max_pool2d with dilation or ceil_mode; hwsim has neither")
    size, padding = pair(argument(node, 1)), pair(argument(node, 3, 0))
    stride = pair(argument(node, 2) or size)
    source = to.value(node.args[0])
    if padding != (0, 0):
        source = _lowest_around(to.builder, source, padding, node.name)
    to.add(
        node, "max_pool_2d", (source,), padding="valid", stride_h=stride[0], stride_w=stride[1], filter_h=size[0],
        filter_w=size[1], activation="none",
    )  # fmt: skip


def _lowest_around(builder: Any, source: int, padding: tuple[int, int], name: str) -> int:
    """The image with the smallest code around it, which no maximum sees."""
    tensor = builder.tensors[source]
    borders = np.array([[0, 0], [padding[0]] * 2, [padding[1]] * 2, [0, 0]], np.int32)
    lowest = builder.constant(f"{name}_lowest", np.array([np.iinfo(tensor.dtype).min], tensor.dtype))
    builder.set_format(lowest, tensor.format)
    inputs = (source, builder.constant(f"{name}_borders", borders), lowest)
    shape = [n + int(border.sum()) for n, border in zip(tensor.shape, borders, strict=True)]
    return int(builder.node("pad_v2", inputs, shape, f"{name}_pad"))


@on_codes("aten.mean.dim")
def _mean(to: CodeImporter, node: fx.Node) -> None:
    raise to.refuse(node, "torch averages real values here, in an order of its own; use adaptive_avg_pool2d")


@on_codes(
    "aten.sigmoid.default", "aten.tanh.default", "aten.hardtanh.default", "aten.hardtanh_.default",
    "aten.clamp.default", "aten.hardsigmoid.default", "aten.leaky_relu.default", "aten.gelu.default",
    "aten.elu.default", "quantized.hardswish.default", "quantized.sigmoid.default", "quantized.tanh.default",
    "quantized.leaky_relu.default", "quantized.elu.default", "quantized.relu6.default", "quantized.clamp.default",
)  # fmt: skip
def _function(to: CodeImporter, node: fx.Node) -> None:
    """A function of one code is the table of what torch gives for each."""
    source, index = node.args[0], to.value(node.args[0])
    assert isinstance(source, fx.Node)
    table, single = (_table(node, source.meta["val"], count) for count in (CODE_COUNT, TAIL))
    if not np.array_equal(table, single):
        raise to.refuse(node, "torch's vectors give other codes than what is left over from them, for these scales")
    to.add(node, "lookup", (index, to.builder.constant(f"{node.name}_table", table)))


def _table(node: fx.Node, source: torch.Tensor, count: int) -> Any:
    """The codes that torch gives for all codes, `count` of them at a time."""
    call, form = node.meta["call"], (source.q_scale(), source.q_zero_point())
    dtype = torch.uint8 if source.dtype == torch.quint8 else torch.int8
    lowest = torch.iinfo(dtype).min
    parts = []
    for start in range(0, CODE_COUNT, count):
        codes = torch.arange(lowest + start, lowest + start + count).to(dtype)
        given = torch._make_per_tensor_quantized_tensor(codes, *form)
        parts.append(call.target(given, *call.arguments[1:], **call.options).int_repr().numpy())
    return np.concatenate(parts)
