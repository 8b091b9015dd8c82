"""What the values of a traced module range over, measured node by node in torch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

from hwsim.torch_bridge._importer import Importer
from hwsim.torch_bridge.module import constants_of, trace

CHUNK = 64


class Measure(fx.Interpreter):
    """Runs a program and keeps the ends of the values of some nodes."""

    def __init__(self, program: torch.export.ExportedProgram, wanted: dict[str, int]) -> None:
        super().__init__(program.graph_module)
        self.program, self.wanted = program, wanted
        self.ends: dict[str, tuple[float, float]] = {}

    def measure(self, x: torch.Tensor) -> None:
        """Take in one batch."""
        known = constants_of(self.program)
        places = [node.name for node in self.program.graph.nodes if node.op == "placeholder"]
        with torch.no_grad():
            self.run(*(known.get(name, x) for name in places))

    def run_node(self, n: fx.Node) -> Any:
        """Compute a node, and look at it."""
        value = super().run_node(n)
        if n.name in self.wanted:
            low, high = self.ends.get(n.name, (float("inf"), float("-inf")))
            self.ends[n.name] = (min(low, float(value.min())), max(high, float(value.max())))
        return value


def ranges_of(
    module: nn.Module, samples: torch.Tensor, importer: Importer, progress: Callable[[int], None] | None = None
) -> dict[int, tuple[float, float]]:
    """The smallest and largest value of the importer's tensors over `samples`, by index.

    A tensor that several nodes share (an activation fused into a layer) has what the last of them gives.
    """
    chunk = min(CHUNK, len(samples))
    wanted = {node.name: index for node, index in importer.values.items() if node.name not in importer.stored}
    measure = Measure(trace(module, (samples[:chunk],)), wanted)
    for start in range(0, len(samples) - chunk + 1, chunk):
        measure.measure(samples[start : start + chunk])
        if progress is not None:
            progress(chunk)
    return {index: measure.ends[name] for name, index in wanted.items() if name in measure.ends}
