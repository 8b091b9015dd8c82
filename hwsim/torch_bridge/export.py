"""A trained module to an integer graph.

A quantizer that reads a value alone gives that value its format: the operator before it rounds straight to the narrow
codes. Where a value has other readers too (a shortcut), it is held in eight bits and narrowed by a node of its own:
`quantize`, or `lookup` where the narrow codes are no multiples (LCQ) or real 0 lies between two codes (a free offset).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from hwsim.errors import InputError, UnsupportedError
from hwsim.graph import Affine, Graph, Levels, Node, Tensor
from hwsim.ptq.lower import FIXED, WEIGHTED, Coding, Weights, lower
from hwsim.ptq.ties import MOVES, tied
from hwsim.torch_bridge._importer import Importer, Layer
from hwsim.torch_bridge._ranges import ranges_of
from hwsim.torch_bridge.curves import Curved, fused
from hwsim.torch_bridge.module import read, trace
from hwsim.torch_bridge.quantizer import Quantizer, marking

BYTE = 256
COMMUTING = (
    "reshape", "squeeze", "expand_dims", "transpose", "slice", "strided_slice", "split", "pad", "max_pool_2d",
    "concatenation", "gather", "pack", "unpack",
)  # fmt: skip
"""Moves after which narrowing gives what it gives before them."""


def export_module(
    module: nn.Module,
    samples: torch.Tensor,
    *,
    batch: int = 1,
    name: str = "",
    fraction_bits: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Graph:
    """The integer graph of a module with quantizers (`prepare`), trained or only started.

    Parameters
    ----------
    samples : float32, batched along axis 0: what values outside quantizers range over is measured on them
    batch : of the graph
    name : of the graph; default: the module's class
    fraction_bits : biases are whole steps of the accumulator, which codes of two bits make coarse. With these, uniform
        weights below 8 bits become levels, codes times 2^fraction_bits as far as 8 bits hold them: finer steps, wider
        multipliers
    progress : hears how many samples were measured

    Raises
    ------
    UnsupportedError : for an operator that hwsim does not have; a layer without quantizers
    InputError : where quantizers have seen no values yet
    """
    for path, part in module.named_modules():
        if isinstance(part, Quantizer) and not part.ready:
            raise InputError(f"quantizer {path!r} has seen no values; run a batch through the module first")
    with marking():
        importer = read(trace(module, (samples[:1].expand(batch, *samples.shape[1:]),)), module, name)
        ranges = ranges_of(module, samples, importer, progress)
    draft = Draft(importer)
    formats = draft.formats(ranges)
    weights = {i: coded_weights(draft.graph, i, importer.layers) for i in draft.layers()}
    weights = {i: finer(coded, fraction_bits) for i, coded in weights.items()}
    biases = draft.biases()
    graph = draft.rewritten(formats)
    names = {node.name: i for i, node in enumerate(graph.nodes)}
    place = {i: names[node.name] for i, node in enumerate(draft.graph.nodes) if node.name in names}
    return lower(
        graph,
        Coding(formats, {place[i]: w for i, w in weights.items()}, {place[i]: bias for i, bias in biases.items()}),
    )


class Draft:
    """The float graph with its quantizers as nodes, on the way to formats."""

    def __init__(self, importer: Importer) -> None:
        self.graph, self.marks = importer.graph(), dict(importer.marks)
        self.nodes = fused(self.graph, self.marks)
        self.same = tied(self.graph)
        self.readers: dict[int, list[Node]] = {}
        for node in self.nodes:
            for index in node.inputs:
                self.readers.setdefault(index, []).append(node)
        self.makers = {i: node for node in (*self.graph.nodes, *self.nodes) for i in node.outputs}
        self.alone = {self.makers[i].inputs[0]: q for i, q in self.marks.items() if self._is_alone(i)}

    def layers(self) -> list[int]:
        """Places of the nodes with weights."""
        return [i for i, node in enumerate(self.graph.nodes) if node.op in WEIGHTED]

    def formats(self, ranges: Mapping[int, tuple[float, float]]) -> dict[int, Affine]:
        """Of every computed float tensor and input."""
        groups: dict[int, list[int]] = {}
        for index, root in self.same.items():
            groups.setdefault(root, []).append(index)
        found: dict[int, Affine] = {}
        for members in groups.values():
            quantizers = [self.marks[i] for i in members if i in self.marks]
            found.update(dict.fromkeys(members, self._format(members, quantizers, ranges)))
        return found

    def biases(self) -> dict[int, Any]:
        """The biases of layers whose inputs have a free offset: what real 0 is off from its code, times the weights."""
        result = {}
        for place in self.layers():
            node = self.graph.nodes[place]
            rest = self._remainder(node.inputs[0])
            if rest == 0:
                continue
            weights, bias = (self.graph.tensors[i].data for i in node.inputs[1:3])
            assert weights is not None and bias is not None
            axes = tuple(i for i in range(weights.ndim) if i != WEIGHTED[node.op])
            result[place] = bias.astype(np.float64) + rest * weights.astype(np.float64).sum(axes)
        return result

    def rewritten(self, formats: Mapping[int, Affine]) -> Graph:
        """The graph without the quantizers that became formats, and with tables where narrowing needs one."""
        tensors, nodes, moved = list(self.graph.tensors), list[Node](), dict[int, int]()
        for node in self.nodes:
            node = replace(node, inputs=tuple(moved.get(i, i) for i in node.inputs))
            quantizer = self.marks.get(node.outputs[0])
            source = node.inputs[0]
            if quantizer is None:
                nodes.append(node)
            elif not needs_table(quantizer) and source in self.alone:
                moved[node.outputs[0]] = source
            elif not needs_table(quantizer):
                nodes.append(node)
            else:
                table = narrowing(quantizer, formats[source])
                tensors.append(Tensor(f"{node.name}/table", table.shape, "int8", None, table))
                nodes.append(replace(node, op="lookup", inputs=(source, len(tensors) - 1)))
        outputs = tuple(moved.get(i, i) for i in self.graph.outputs)
        return replace(self.graph, tensors=tuple(tensors), nodes=tuple(nodes), outputs=outputs)

    def _is_alone(self, index: int) -> bool:
        """Whether the quantizer that made a tensor is the only reader of all that shares its source's format."""
        source = self.makers[index].inputs[0]
        group = [i for i, root in self.same.items() if root == self.same[source]]
        makers = [self.makers[i] for i in group if i in self.makers]
        once = all(len(self.readers.get(i, ())) == 1 and i not in self.graph.outputs for i in group)
        return once and not any(n.op in FIXED or (n.op in MOVES and n.op not in COMMUTING) for n in makers)

    def _format(
        self, members: list[int], quantizers: list[Quantizer], ranges: Mapping[int, tuple[float, float]]
    ) -> Affine:
        """Of tensors that share one: what a quantizer made, what one reads alone, what is fixed, or eight bits."""
        if quantizers:
            return narrow_format(quantizers[0])
        only = [self.alone[i] for i in members if i in self.alone]
        ends = [ranges[i] for i in members if i in ranges]
        if only and isinstance(only[0], Curved):
            return eight_bits(*only[0].reach(*_hull(ends)))
        if only:
            return carrier(only[0]) if needs_table(only[0]) else narrow_format(only[0])
        fixed = [FIXED[self.makers[i].op] for i in members if i in self.makers and self.makers[i].op in FIXED]
        if fixed:
            return Affine.per_tensor(*fixed[0])
        if not ends:
            name = self.graph.tensors[members[0]].name
            raise UnsupportedError(f"{name!r}: has no name in the module, so its range is unknown; use hwsim.quantize")
        return eight_bits(*_hull(ends))

    def _remainder(self, index: int) -> float:
        """Of the quantizer behind a layer's input, seen through moves."""
        found = [q for i, q in self.marks.items() if self.same[i] == self.same[index]]
        return found[0].remainder() if found else 0.0


def _hull(ends: list[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in ends), max(high for _, high in ends)


def eight_bits(low: float, high: float) -> Affine:
    """int8 codes for a range, 0 among them."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = max((high - low) / (BYTE - 1), float(np.finfo(np.float32).tiny))
    return Affine.per_tensor(scale, int(np.clip(np.rint(-BYTE / 2 - low / scale), -BYTE // 2, BYTE // 2 - 1)))


def needs_table(quantizer: Quantizer) -> bool:
    """Whether narrowing to its codes is no requantization."""
    return isinstance(quantizer, Curved) or isinstance(quantizer.format(), Levels) or quantizer.remainder() != 0


def narrow_format(quantizer: Quantizer) -> Affine:
    """What a layer reads: the quantizer's codes, or the levels behind them, which are codes of eight bits."""
    form = quantizer.format()
    if isinstance(form, Affine):
        return form
    return Affine.per_tensor(float(form.scale[0]), -BYTE // 2)


def carrier(quantizer: Quantizer) -> Affine:
    """Eight bits over what a quantizer does not clip."""
    form = quantizer.format()
    if isinstance(form, Levels):
        return eight_bits(0.0, float(form.scale[0] * form.table[0, -1]))
    low, high = -(1 << (quantizer.bits - 1)), (1 << (quantizer.bits - 1)) - 1
    ends = [(code - int(form.zero_point[0])) * float(form.scale[0]) + quantizer.remainder() for code in (low, high)]
    return eight_bits(*ends)


def narrowing(quantizer: Quantizer, source: Affine) -> Any:
    """int8 (256,): for every code of `source`, from -128 on, the code of `narrow_format`."""
    codes = np.arange(-BYTE // 2, BYTE // 2)
    real = (codes - source.zero_point[0]) * np.float64(source.scale[0])
    with torch.no_grad():
        narrow = quantizer.codes(torch.from_numpy(real.astype(np.float32))).numpy()
    form = quantizer.format()
    if isinstance(form, Levels):
        return (form.table[0][narrow] - BYTE // 2).astype(np.int8)
    return narrow.astype(np.int8)


def coded_weights(graph: Graph, place: int, layers: Mapping[int, Layer]) -> Weights:
    """The codes of a layer's weights, and their format with batch norm's factors in its scales.

    Where a factor is below 0 the codes of the channel change sign; one code more below 0 than above then takes a bit
    more.
    """
    node = graph.nodes[place]
    if place not in layers:
        raise UnsupportedError(f"{node.op} {node.name!r}: its weights have no quantizer; use `prepare`")
    layer, axis = layers[place], WEIGHTED[node.op]
    with torch.no_grad():
        codes = layer.quantizer.codes(torch.from_numpy(layer.weights)).numpy()
        form = layer.quantizer.format()
    along = [-1] + [1] * (codes.ndim - 1)
    sign = np.sign(layer.factor).astype(np.int64).reshape(along)
    usual = float(np.abs(layer.factor).mean()) or 1.0
    factor = np.where(layer.factor == 0, usual, np.abs(layer.factor))
    if isinstance(form, Levels):
        codes = turned(codes, sign, form.table.shape[1] - 1, node.name)
        scale = form.scale.astype(np.float64) * layer.quantizer.factor_of(torch.from_numpy(layer.weights)) * factor
        tables = np.tile(form.table, (len(factor), 1))
        levels = Levels(tables, scale.astype(np.float32), form.bits, axis)
        return Weights(codes.transpose(layer.turn).reshape(graph.tensors[node.inputs[1]].shape), levels)
    codes = codes * sign
    scales = (form.scale.astype(np.float64) * factor).astype(np.float32)
    bits = layer.quantizer.bits + bool((codes >= 1 << (layer.quantizer.bits - 1)).any())
    affine = Affine(scales, np.zeros(len(scales), np.int64), axis, bits if bits < 8 else None)
    return Weights(codes.transpose(layer.turn).reshape(graph.tensors[node.inputs[1]].shape), affine)


def finer(weights: Weights, fraction_bits: int) -> Weights:
    """Uniform codes as levels 2^fraction_bits as far apart, or as far as 8 bits hold them."""
    form = weights.format
    if not isinstance(form, Affine) or form.bits is None or fraction_bits == 0:
        return weights
    factor, half = 1 << min(fraction_bits, 8 - form.bits), 1 << (form.bits - 1)
    table = np.tile(np.arange(-half, half, dtype=np.int32) * factor, (len(form.scale), 1))
    levels = Levels(table, (form.scale / factor).astype(np.float32), form.bits, form.axis)
    return Weights(weights.codes + half, levels)


def turned(codes: Any, sign: Any, last: int, name: str) -> Any:
    """Codes of levels that lie evenly around 0, times signs of channels."""
    if last % 2 and not sign.all():
        raise UnsupportedError(f"{name!r}: batch norm multiplies a channel by 0, which two-valued weights cannot say")
    return np.where(sign < 0, last - codes, np.where(sign == 0, last // 2, codes))
