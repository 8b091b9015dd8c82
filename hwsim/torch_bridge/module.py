"""A torch module to a float graph, through `torch.export`.

Images turn from torch's (batch, channels, height, width) to hwsim's (batch, height, width, channels); batch norm is
folded into the layer before it; activations are fused where the graph has a fused form. What cannot be imported is
named with the line of the module's source that asks for it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hwsim.errors import UnsupportedError
from hwsim.graph import Graph
from hwsim.graph.build import Builder
from hwsim.torch_bridge._aten import HANDLERS, Importer


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
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            program = torch.export.export(module, tuple(example_inputs), strict=False)
    except Exception as error:
        raise UnsupportedError(f"{type(module).__name__}: torch.export cannot trace it: {error}") from error
    finally:
        module.train(was_training)
    return _graph(program, name or type(module).__name__)


def _graph(program: "torch.export.ExportedProgram", name: str) -> Graph:
    importer = Importer(Builder(name), _stored(program))
    signature = program.graph_signature
    users = set(signature.user_inputs)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in users:
            importer.add_input(node)
        elif node.op == "call_function":
            target = str(node.target)
            if target not in HANDLERS:
                raise UnsupportedError(f"{importer.place(node)}: hwsim has no operator for {target}")
            HANDLERS[target](importer, node)
        elif node.op == "output":
            importer.finish(node.args[0])
    return importer.graph()


def _stored(program: "torch.export.ExportedProgram") -> dict[str, np.ndarray[Any, Any]]:
    """Parameters, buffers and constants by the name of their placeholder."""
    signature = program.graph_signature
    places = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    values = {**program.state_dict, **program.constants}
    return {place: values[name].detach().cpu().numpy() for place, name in places.items() if name in values}
