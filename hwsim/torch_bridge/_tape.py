"""What a module computes, operator by operator, recorded while it runs.

Torch's quantized layers hide their weights in objects that no tracer looks into; the operators that they call say it
all: scales and zero points are properties of the tensors.
"""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.utils._python_dispatch import TorchDispatchMode

SILENT = ("aten._local_scalar_dense.default", "aten.item.default")
"""Operators that give a number, which is an argument of the next."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operator, run.

    Parameters
    ----------
    target : of torch, to be called again
    arguments, options : real values
    result : what it gave, which later operators may have overwritten in place
    value : a copy of it, or of the first of several: pools give indices besides
    name : of the module's node that called it, else ''
    line : of the module's source that asked for it
    """

    target: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: torch.Tensor
    value: torch.Tensor
    name: str
    line: str


class Tape(TorchDispatchMode):  # type: ignore[misc]
    """Records operators."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.node: fx.Node | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        first = _flat([result])[0]
        if str(func) not in SILENT and isinstance(first, torch.Tensor):
            name = self.node.name if self.node is not None else ""
            copy = first.clone() if first.layout == torch.strided else first
            self.calls.append(Call(func, tuple(args), dict(kwargs or {}), first, copy, name, _line(self.node)))
        return result


class _Named(fx.Interpreter):  # type: ignore[misc]
    """Runs a graph module node by node, so that the tape knows their names."""

    def __init__(self, module: fx.GraphModule, tape: Tape) -> None:
        super().__init__(module)
        self.tape = tape

    def run_node(self, n: fx.Node) -> Any:
        self.tape.node = n
        return super().run_node(n)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a module: its inputs, the operators in order, and its results."""

    inputs: tuple[torch.Tensor, ...]
    calls: list[Call]
    results: tuple[torch.Tensor, ...]


def record(module: nn.Module, inputs: Sequence[torch.Tensor]) -> Run:
    """Run `module` once in one thread: of several, each would have a rest of its own."""
    threads, inputs = torch.get_num_threads(), tuple(inputs)
    tape = Tape()
    run = _Named(module, tape).run if isinstance(module, fx.GraphModule) else module.eval()
    torch.set_num_threads(1)
    try:
        with torch.no_grad(), tape:
            results = run(*inputs)
    finally:
        torch.set_num_threads(threads)
    return Run(inputs, tape.calls, tuple(part for part in _flat([results]) if isinstance(part, torch.Tensor)))


def as_graph(run: Run) -> tuple[fx.Graph, dict[str, Any]]:
    """The run as a graph of torch's operators, with every value in `meta["val"]`; and its constants by name."""
    graph, nodes, constants = fx.Graph(), dict[int, fx.Node](), dict[str, Any]()
    for i, value in enumerate(run.inputs):
        nodes[id(value)] = _remember(graph.placeholder("input" if len(run.inputs) == 1 else f"input_{i}"), value)

    def known(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in nodes:
            node = _remember(graph.placeholder("constant"), value)
            nodes[id(value)], constants[node.name] = node, value
        return nodes[id(value)]

    for call in run.calls:
        arguments = torch.utils._pytree.tree_map(known, call.arguments)
        node = graph.create_node("call_function", call.target, arguments, {}, call.name or None)
        node.meta.update(val=call.result, call=call, stack_trace=call.line)
        nodes[id(call.result)] = node
    graph.output(tuple(known(value) for value in run.results))
    return graph, constants


def _remember(node: fx.Node, value: torch.Tensor) -> fx.Node:
    node.meta["val"] = value
    return node


def _flat(values: Any) -> list[Any]:
    return list(torch.utils._pytree.tree_leaves(values))


def _line(node: fx.Node | None) -> str:
    """The last line of source outside torch that led here, with its file where that is one."""
    if node is not None and node.meta.get("stack_trace"):
        frames = [part.strip() for part in node.meta["stack_trace"].split("File ") if part.strip()]
        own = [frame for frame in frames if "/torch/" not in frame] or frames
        return "File " + " ".join(own[-1].split())
    if node is not None:
        return f"{node.name} = {node.target}"
    own = [f for f in traceback.extract_stack() if "/torch/" not in f.filename and f.filename != __file__]
    return f'File "{own[-1].filename}", line {own[-1].lineno}, {own[-1].line}' if own else ""
