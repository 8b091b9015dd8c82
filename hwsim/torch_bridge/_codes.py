"""A graph of codes being written from a recorded run, and what handlers of quantized operators share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import fx

from hwsim.graph import Affine
from hwsim.graph.build import Builder
from hwsim.graph.graph import Attribute
from hwsim.torch_bridge._importer import Array, Handler, Importer

CODES: dict[str, Handler] = {}
"""Handlers of operators on codes; operators on real values have those of float modules."""

DTYPES = {torch.quint8: "uint8", torch.qint8: "int8", torch.uint8: "uint8", torch.int8: "int8"}


class CodeBuilder(Builder):
    """A builder whose nodes give what their first input holds, until told otherwise: moves keep codes as they are."""

    def node(
        self, op: str, inputs: Sequence[int], shape: Sequence[int], name: str = "", **attributes: Attribute
    ) -> int:
        """A node with one output of `shape`, which has the node's name."""
        index = super().node(op, inputs, shape, name, **attributes)
        source = self.tensors[inputs[0]]
        self.set_codes(index, source.dtype, source.format)
        return index

    def set_codes(self, index: int, dtype: str, form: Any) -> None:
        """Say what a tensor holds."""
        self.tensors[index] = replace(self.tensors[index], dtype=dtype, format=form)

    def set_format(self, index: int, form: Affine) -> None:
        """Give a constant a format."""
        self.tensors[index] = replace(self.tensors[index], format=form)

    def change_maker(self, index: int, inputs: tuple[int, ...] | None = None, **attributes: Attribute) -> None:
        """Give the node that makes a tensor other inputs or options."""
        place = next(i for i, node in enumerate(self.nodes) if node.outputs == (index,))
        node = self.nodes[place]
        options = {**node.attributes, **attributes}
        self.nodes[place] = replace(node, inputs=node.inputs if inputs is None else inputs, attributes=options)


class CodeImporter(Importer):
    """An importer of recorded runs. Nothing is fused or folded: every tensor of torch's is one of the graph's."""

    builder: CodeBuilder

    def __init__(self, builder: CodeBuilder, stored: dict[str, Array]) -> None:
        super().__init__(builder, stored, frozenset(), {})
        self.known: set[int] = set()

    def say(self, node: fx.Node, form: Affine) -> None:
        """Give the tensor that `node` became a format that torch's tensor does not show."""
        index = self.values[node]
        self.builder.set_codes(index, str(node.meta["val"].dtype).removeprefix("torch."), form)
        self.known.add(index)

    def settle(self, node: fx.Node) -> None:
        """Give the tensor that `node` became the format that torch's has."""
        value, index = node.meta["val"], self.values[node]
        if index not in self.known and (value.is_quantized or value.is_floating_point()):
            self.builder.set_codes(index, *held(value))
        self.known.add(index)


def held(value: torch.Tensor) -> tuple[str, Affine | None]:
    """The dtype of a tensor's codes, and its format."""
    if not value.is_quantized:
        return str(value.dtype).removeprefix("torch."), None
    return DTYPES[value.dtype], Affine.per_tensor(value.q_scale(), value.q_zero_point())


def on_codes(*targets: str) -> Any:
    """Registers a handler of operators on codes, by their names."""

    def register(handler: Handler) -> Handler:
        CODES.update(dict.fromkeys(targets, handler))
        return handler

    return register


def is_coded(node: fx.Node) -> bool:
    """Whether `node` reads or gives codes."""
    if str(node.target).startswith(("onednn.", "quantized_decomposed.")):
        return True
    values = [node.meta.get("val"), *(source.meta.get("val") for source in node.all_input_nodes)]
    return any(isinstance(value, torch.Tensor) and value.is_quantized for value in values)


def weight_codes(weights: torch.Tensor, turn: tuple[int, ...]) -> tuple[Array, Affine]:
    """A layer's codes in the graph's order of axes, and their format."""
    codes = np.ascontiguousarray(weights.int_repr().numpy().transpose(turn))
    if weights.qscheme() == torch.per_tensor_affine:
        return codes, Affine.per_tensor(weights.q_scale(), weights.q_zero_point())
    scales = weights.q_per_channel_scales().numpy().astype(np.float32)
    points = weights.q_per_channel_zero_points().numpy().astype(np.int64)
    return codes, Affine(scales, points, turn.index(weights.q_per_channel_axis()))
