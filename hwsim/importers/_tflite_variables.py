"""Resource variables of a `.tflite` file as variable tensors.

A file names a variable by a handle (VAR_HANDLE) that READ_VARIABLE and ASSIGN_VARIABLE take, and gives it a first value
in a subgraph that CALL_ONCE runs before the first step. In a Graph the handle's tensor is the variable itself, its
initial value included, and the nodes that make handles and first values are gone.

Source: LiteRT tflite/kernels/{var_handle,read_variable,assign_variable,call_once}.cc.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from hwsim.graph.graph import DTYPES, Node, Tensor
from hwsim.ops._base import TfliteOptions

HANDLE, ONCE = "VAR_HANDLE", "CALL_ONCE"
READ, ASSIGN = "read_variable", "assign_variable"
OPTIONS = {
    HANDLE: TfliteOptions("VarHandleOptions", {"container": "Container", "shared_name": "SharedName"}),
    ONCE: TfliteOptions("CallOnceOptions", {"init_subgraph": "InitSubgraphIndex"}),
}
"""Where the options of the operators are that no Graph has."""

Part = tuple[list[Tensor], list[Node]]
Key = tuple[Any, Any]


def with_variables(tensors: list[Tensor], nodes: list[Node], subgraph: Callable[[int], Part]) -> Part:
    """The graph with its resource variables as tensors; as it is where CALL_ONCE does more than assign constants.

    subgraph : gives the tensors and nodes of the file's other subgraphs
    """
    handles = _handles(nodes)
    if not handles:
        return tensors, nodes
    first_values = _first_values(nodes, subgraph)
    if first_values is None:
        return tensors, nodes
    holders: dict[Key, int] = {}
    for index, key in handles.items():
        holders.setdefault(key, index)
    same = {index: holders[key] for index, key in handles.items()}
    kept = [replace(n, inputs=tuple(same.get(i, i) for i in n.inputs)) for n in nodes if n.op not in (HANDLE, ONCE)]
    for key, index in holders.items():
        model = first_values.get(key) or _first_use(kept, index, tensors)
        if model is not None and model.dtype in DTYPES:
            tensors[index] = _variable(tensors[index].name, model)
    return tensors, kept


def _variable(name: str, model: Tensor) -> Tensor:
    return Tensor(name, model.shape, model.dtype, model.format, is_variable=True, initial=model.data)


def _handles(nodes: Iterable[Node]) -> dict[int, Key]:
    """Which variable each handle's tensor stands for."""
    return {
        node.outputs[0]: (node.attributes.get("container"), node.attributes.get("shared_name"))
        for node in nodes
        if node.op == HANDLE and node.outputs
    }


def _first_values(nodes: Iterable[Node], subgraph: Callable[[int], Part]) -> dict[Key, Tensor] | None:
    """The constant that each variable starts from; None where a subgraph does anything else."""
    found: dict[Key, Tensor] = {}
    for index in [node.attributes["init_subgraph"] for node in nodes if node.op == ONCE]:
        tensors, inner = subgraph(int(index))  # type: ignore[arg-type]
        handles = _handles(inner)
        for node in inner:
            if node.op == ASSIGN and node.inputs[0] in handles and tensors[node.inputs[1]].data is not None:
                found[handles[node.inputs[0]]] = tensors[node.inputs[1]]
            elif node.op != HANDLE:
                return None
    return found


def _first_use(nodes: Iterable[Node], variable: int, tensors: list[Tensor]) -> Tensor | None:
    """What is first assigned to a variable without a first value, or read from it, but for its value."""
    for node in nodes:
        if node.op in (READ, ASSIGN) and node.inputs[0] == variable:
            other = node.inputs[1] if node.op == ASSIGN else node.outputs[0]
            return replace(tensors[other], data=None)
    return None
