"""An activation and the quantizer of few bits that alone reads it, as one table of 256 codes: it rounds once."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch.nn import functional

from hwsim.graph import Affine, Graph, Levels, Node
from hwsim.torch_bridge.quantizer import Quantizer

Curve = Callable[[torch.Tensor], torch.Tensor]
CURVES: dict[str, Curve] = {"logistic": torch.sigmoid, "tanh": torch.tanh, "hard_swish": functional.hardswish}
GRID = 1 << 12


class Curved(Quantizer):
    """A quantizer behind a function of one value."""

    def __init__(self, inner: Quantizer, curve: Curve) -> None:
        super().__init__(inner.bits, inner.signed)
        self.inner, self.curve = inner, curve

    def format(self) -> Affine | Levels:
        """The inner one's."""
        return self.inner.format()

    def codes(self, x: torch.Tensor) -> torch.Tensor:
        """Of the function's values."""
        return self.inner.codes(self.curve(x))

    def remainder(self) -> float:
        """The inner one's."""
        return self.inner.remainder()

    def reach(self, low: float, high: float) -> tuple[float, float]:
        """The part of a range beyond whose ends the code does not change any more."""
        grid = torch.linspace(low, high, GRID)
        with torch.no_grad():
            codes = self.codes(grid)
        (changes,) = torch.nonzero(codes[1:] != codes[:-1], as_tuple=True)
        return (float(grid[changes[0]]), float(grid[changes[-1] + 1])) if len(changes) else (low, high)


def fused(graph: Graph, marks: dict[int, Quantizer]) -> tuple[Node, ...]:
    """The graph's nodes without the activations that only a quantizer of fewer than eight bits reads; that quantizer,
    in `marks`, becomes a `Curved` one, and reads what the activation read.
    """
    makers = {i: node for node in graph.nodes for i in node.outputs}
    read = [index for node in graph.nodes for index in node.inputs] + list(graph.outputs)
    left_out, moved = set[str](), dict[str, int]()
    for index, quantizer in marks.items():
        source = makers[index].inputs[0]
        found = _curve(source, makers)
        if found is None or quantizer.bits >= 8 or read.count(source) > 1:
            continue
        curve, before, between = found
        if any(read.count(node.outputs[0]) > 1 for node in between):
            continue
        marks[index] = Curved(quantizer, curve)
        moved[makers[index].name] = before
        left_out.update(node.name for node in between)
    return tuple(
        replace(node, inputs=(moved[node.name], *node.inputs[1:])) if node.name in moved else node
        for node in graph.nodes
        if node.name not in left_out
    )


def _curve(index: int, makers: Mapping[int, Node]) -> tuple[Curve, int, list[Node]] | None:
    """The function that made a tensor, what it read, and its nodes; Swish is the product of a value and its gate."""
    node = makers.get(index)
    if node is None:
        return None
    if node.op in CURVES:
        return CURVES[node.op], node.inputs[0], [node]
    gate = makers.get(node.inputs[-1])
    swish = node.op == "mul" and gate is not None and gate.op == "logistic" and gate.inputs[0] == node.inputs[0]
    return (functional.silu, node.inputs[0], [node, gate]) if swish and gate is not None else None
