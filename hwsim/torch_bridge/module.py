"""A torch module to a float graph, through `torch.export`.

Images turn from torch's (batch, channels, height, width) to hwsim's (batch, height, width, channels); batch norm is
folded into the layer before it; activations are fused where the graph has a fused form. What cannot be imported is
named with the line of the module's source that asks for it.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.backends import mha

from hwsim.errors import UnsupportedError
from hwsim.graph import Graph
from hwsim.graph.build import Builder
from hwsim.ptq.lower import pruned
from hwsim.torch_bridge import _aten_activations, _aten_layers, _aten_moves, _aten_windows  # noqa: F401
from hwsim.torch_bridge._importer import HANDLERS, MARK, Importer
from hwsim.torch_bridge.quantizer import Quantizer


def import_module(module: nn.Module, example_inputs: Sequence[torch.Tensor], name: str = "") -> Graph:
    """The float graph of `module`, for `engine="float"` and for quantization.

    Parameters
    ----------
    module : in any mode; it is imported as in evaluation
    example_inputs : tensors of the shapes that the graph will have; images (batch, channels, height, width), whose
        graph inputs are (batch, height, width, channels)
    name : of the graph; default: the module's class

    Raises
    ------
    UnsupportedError : names the operator that hwsim does not have, and the source line that uses it
    """
    return pruned(read(trace(module, example_inputs), module, name).graph())


def trace(module: nn.Module, inputs: Sequence[torch.Tensor]) -> torch.export.ExportedProgram:
    """The module's program in evaluation, for inputs of these shapes."""
    if is_quantized(module):
        raise UnsupportedError(f"{type(module).__name__} is quantized already; import it with import_quantized")
    was_training, fast = module.training, mha.get_fastpath_enabled()
    module.eval()
    mha.set_fastpath_enabled(False)  # one operator for a whole encoder layer would say nothing
    try:
        with torch.no_grad():
            return torch.export.export(module, tuple(inputs), strict=False)
    except Exception as error:
        raise UnsupportedError(f"{type(module).__name__}: torch.export cannot trace it: {error}") from error
    finally:
        module.train(was_training)
        mha.set_fastpath_enabled(fast)


def is_quantized(module: nn.Module) -> bool:
    """Whether torch's own tools, or Brevitas, have quantized `module`."""
    kinds = {type(part).__module__ for part in module.modules()}
    if any(
        kind.startswith(("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "brevitas.")) for kind in kinds
    ):
        return True
    nodes = module.graph.nodes if isinstance(module, torch.fx.GraphModule) else ()
    return any(str(node.target).startswith(("quantized_decomposed.", "onednn.")) for node in nodes)


def read(program: torch.export.ExportedProgram, module: nn.Module, name: str = "") -> Importer:
    """The program as a graph being written, with what is known of it."""
    quantizers = {path: part for path, part in module.named_modules() if isinstance(part, Quantizer)}
    needed = _needed(program.graph)
    constants = {place: value.cpu().numpy() for place, value in constants_of(program).items()}
    importer = Importer(Builder(name or type(module).__name__), constants, needed, quantizers)
    users = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in users:
            importer.add_input(node)
        elif node.op == "call_function" and not importer.folds(node) and node in needed:
            target = str(node.target)
            if target not in HANDLERS:
                raise UnsupportedError(f"{importer.place(node)}: hwsim has no operator for {target}")
            HANDLERS[target](importer, node)
        elif node.op == "output":
            importer.finish(node.args[0])
    return importer


def _needed(graph: torch.fx.Graph) -> set[torch.fx.Node]:
    """The nodes that the results depend on; of a mark only what was quantized, not how."""
    waiting, found = [node for node in graph.nodes if node.op == "output"], set[torch.fx.Node]()
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        found.add(node)
        marks = str(node.target) == MARK
        waiting.extend([node.args[0]] if marks else node.all_input_nodes)
    return found


def constants_of(program: torch.export.ExportedProgram) -> dict[str, torch.Tensor]:
    """Parameters, buffers and constants by the name of their placeholder."""
    signature = program.graph_signature
    places = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    values = {**program.state_dict, **program.constants}
    return {place: values[name].detach() for place, name in places.items() if name in values}
