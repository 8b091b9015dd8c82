"""Networks that were quantized elsewhere, to a graph of their codes.

A module that `torch.ao.quantization` converted (FX or eager mode), or torchao's pt2e lowered, runs once, and the
operators that it calls become the graph: the same weights, scales and zero points. Its biases stay float32, as torch
holds them; each engine does with them what it does. `compare_quantized` holds every tensor against torch's own.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hwsim.errors import InputError, UnsupportedError
from hwsim.graph import Graph
from hwsim.simulate import simulate
from hwsim.torch_bridge import (  # noqa: F401  # noqa: F401
    _aten_activations,
    _aten_layers,
    _aten_moves,
    _aten_windows,
    _codes_elementwise,
    _codes_layers,
    _codes_onednn,
)
from hwsim.torch_bridge._brevitas import Reader, is_brevitas
from hwsim.torch_bridge._brevitas import run as run_brevitas
from hwsim.torch_bridge._codes import CODES, CodeBuilder, CodeImporter, is_coded
from hwsim.torch_bridge._importer import HANDLERS
from hwsim.torch_bridge._tape import Run, as_graph, record
from hwsim.torch_bridge.proof import Proof

ENGINES = {"fbgemm": "fbgemm", "qnnpack": "qnnpack", "x86": "torch-x86", "onednn": "onednn"}
"""hwsim's engine for each of `torch.backends.quantized.supported_engines`."""


def import_quantized(module: nn.Module, example_inputs: Sequence[torch.Tensor], name: str = "") -> Graph:
    """The graph of a quantized module, to be simulated under the engine that it was quantized for.

    Parameters
    ----------
    module : converted by torch.ao.quantization, for the engine that `torch.backends.quantized.engine` names now; of
        torchao, lowered to x86; or of Brevitas
    example_inputs : float32, of the shapes that the graph will have; images (batch, channels, height, width), whose
        graph inputs are (batch, height, width, channels)
    name : of the graph; default: the module's class

    Raises
    ------
    UnsupportedError : names the operator that hwsim does not have, and the source line that uses it
    """
    name = name or type(module).__name__
    if isinstance(module, torch.fx.GraphModule) and needs_lowering(module):
        raise UnsupportedError(
            f"{name} dequantizes before its layers, whose float32 sums no engine of integers has; lower it: "
            "torchao.quantization.pt2e.lowering.lower_pt2e_quantized_to_x86(module, example_inputs)"
        )
    if is_brevitas(module):
        reader = Reader(module, name)
        reader.read(run_brevitas(module, example_inputs))
        return reader.builder.graph(*reader.outputs)
    return read_run(record(module, example_inputs), name)[0].graph()


def needs_lowering(module: torch.fx.GraphModule) -> bool:
    """Whether weights of torchao's pt2e are dequantized before float layers."""
    targets = {str(node.target) for node in module.graph.nodes}
    return any(target.startswith("quantized_decomposed.dequantize_per_channel") for target in targets)


def engine_of_torch() -> str:
    """hwsim's name of the engine that torch runs quantized modules with now."""
    backend = torch.backends.quantized.engine
    if backend not in ENGINES:
        raise UnsupportedError(f"torch.backends.quantized.engine is {backend!r}; hwsim has {', '.join(ENGINES)}")
    return ENGINES[backend]


def compare_quantized(graph: Graph, module: nn.Module, x: torch.Tensor, *, engine: str = "", chunk: int = 64) -> Proof:
    """Count the elements of every tensor that hwsim and torch compute differently, in codes and in float32.

    Torch runs the graph's batch at a time, in one thread.

    Parameters
    ----------
    graph : what `import_quantized` made of `module`
    x : float32, samples along axis 0, a multiple of the graph's batch
    engine : hwsim's; default: the one that torch runs with now
    chunk : samples that are held in memory together
    """
    batch = graph.tensors[graph.inputs[0]].shape[0]
    if len(x) % batch or not len(x):
        raise InputError(f"{len(x)} samples; expected a multiple of the graph's batch, {batch}")
    differing: dict[str, int] = {}
    codes = 0
    for start in range(0, len(x), max(chunk // batch, 1) * batch):
        part = x[start : start + max(chunk // batch, 1) * batch]
        expected = torch_tensors(module, part, batch)
        ours = simulate(graph, in_order(part), engine or engine_of_torch(), keep_tensors=True).tensors
        for name, value in expected.items():
            differing[name] = differing.get(name, 0) + int((ours[name].reshape(value.shape) != value).sum())
            codes += value.size
    return Proof(differing, codes)


def torch_tensors(module: nn.Module, x: torch.Tensor, batch: int) -> dict[str, NDArray[np.generic]]:
    """Every tensor that torch computes, by the name that it has in the graph, `batch` samples at a time."""
    if is_brevitas(module):
        return brevitas_tensors(module, x, batch)
    runs = [record(module, (x[i : i + batch],)) for i in range(0, len(x), batch)]
    importer, nodes = read_run(runs[0], "names")
    places = {importer.builder.tensors[importer.values[node]].name: i for i, node in enumerate(nodes)}
    return {name: np.concatenate([in_order(run.calls[i].value) for run in runs]) for name, i in places.items()}


def brevitas_tensors(module: nn.Module, x: torch.Tensor, batch: int) -> dict[str, NDArray[np.generic]]:
    """The codes of everything that Brevitas quantized."""
    graph = run_brevitas(module, (x[:batch],))
    reader = Reader(module, "names")
    reader.read(graph)
    coded = [node for node in reader.values if hasattr(node.meta["val"], "bit_width")]
    places = {reader.builder.tensors[reader.values[node]].name: node for node in coded}
    found: dict[str, list[NDArray[np.generic]]] = {name: [] for name in places}
    for start in range(0, len(x), batch):
        run_brevitas(module, (x[start : start + batch],), graph)
        for name, node in places.items():
            found[name].append(in_order(node.meta["val"].int()))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def in_order(value: torch.Tensor) -> NDArray[np.generic]:
    """Codes or real values as hwsim lays them out: images (samples, height, width, channels)."""
    plain = value.int_repr() if value.is_quantized else value
    return np.ascontiguousarray((plain.permute(0, 2, 3, 1) if plain.dim() == 4 else plain).detach().numpy())


def read_run(run: Run, name: str) -> tuple[CodeImporter, list[torch.fx.Node]]:
    """A recorded run as a graph being written, and the node of each of its calls."""
    graph, constants = as_graph(run)
    plain = {key: value for key, value in constants.items() if value.layout == torch.strided and not value.is_quantized}
    stored = {key: value.detach().numpy() for key, value in plain.items()}
    importer, calls = CodeImporter(CodeBuilder(name), stored), []
    for node in graph.nodes:
        if node.op == "placeholder" and node.name not in constants:
            importer.add_input(node)
        elif node.op == "call_function":
            target = str(node.target)
            handler = (CODES if is_coded(node) else {}).get(target) or HANDLERS.get(target)
            if handler is None:
                raise importer.refuse(node, f"hwsim has no operator for {target}")
            handler(importer, node)
            importer.settle(node)
            calls.append(node)
        elif node.op == "output":
            importer.finish(node.args[0])
    return importer, calls
