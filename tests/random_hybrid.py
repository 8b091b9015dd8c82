"""Random dynamic-range layers: float32 activations, int8 weights; see `tests.random_graphs`."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from hwsim.graph import Graph, Tensor
from tests.random_graphs import MAKERS
from tests.random_moves import pick

Generator = np.random.Generator


def hybrid(op: str, asymmetric: bool = False) -> Callable[[Generator], Graph]:
    """The maker of a layer whose activations and bias are float32."""

    def make(g: Generator) -> Graph:
        graph = MAKERS[op](g, "int8")
        while op != "fully_connected" and not graph.tensors[1].format.is_per_channel:  # type: ignore[union-attr]
            graph = MAKERS[op](g, "int8")
        node = graph.nodes[0]
        if op == "fully_connected":
            node = replace(node, attributes={**node.attributes, "asymmetric_quantize_inputs": asymmetric})
        tensors = [t if t.name == "w" else Tensor(t.name, t.shape, "float32", None, t.data) for t in graph.tensors]
        tensors = [
            replace(t, data=g.uniform(-3, 3, t.shape).astype(np.float32)) if t.data is not None and t.name != "w" else t
            for t in tensors
        ]
        return Graph(graph.name, tuple(tensors), (node,), graph.inputs, graph.outputs)

    return make


def activations(g: Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Around 0, above 0, or nothing but zeros."""
    low, high = pick(g, (-3, 3), (-0.2, 7), (0, 4), (-9, -1), (0, 0))
    return g.uniform(low, high, shape).astype(np.float32)
