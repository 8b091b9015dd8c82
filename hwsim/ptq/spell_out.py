"""Operators that an engine lacks, as operators that it has: layer norm from means, products and a reciprocal root."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwsim.engines import Engine
from hwsim.graph import Graph, Node, Tensor
from hwsim.ops import operators


def spelled_out(graph: Graph, engine: Engine) -> Graph:
    """A float graph equal to `graph` whose layer norms `engine` can compute."""
    lacking = not set(engine.lineage) & set(operators()["layer_norm"].rules)
    if not lacking or all(node.op != "layer_norm" for node in graph.nodes):
        return graph
    speller = _Speller(graph)
    for node in graph.nodes:
        if node.op == "layer_norm":
            speller.layer_norm(node)
        else:
            speller.nodes.append(node)
    return Graph(graph.name, tuple(speller.tensors), tuple(speller.nodes), graph.inputs, graph.outputs)


class _Speller:
    """A graph being rewritten."""

    def __init__(self, graph: Graph) -> None:
        self.tensors, self.nodes = list(graph.tensors), list[Node]()

    def layer_norm(self, node: Node) -> None:
        """Mean, difference, square, mean, reciprocal root, products and a sum instead of `node`."""
        (source, gamma, beta), shape, name = node.inputs, self.tensors[node.outputs[0]].shape, node.name
        one, unfused = (*shape[:-1], 1), {"activation": "none"}
        axes = self._constant(f"{name}/axes", np.array([len(shape) - 1], np.int32))
        epsilon = self._constant(f"{name}/epsilon", np.array([node.attributes.get("epsilon", 0.0)], np.float32))
        mean = self._node("mean", (source, axes), one, f"{name}/mean", keep_dims=True)
        centered = self._node("sub", (source, mean), shape, f"{name}/centered", **unfused)
        squared = self._node("mul", (centered, centered), shape, f"{name}/squared", **unfused)
        variance = self._node("mean", (squared, axes), one, f"{name}/variance", keep_dims=True)
        more = self._node("add", (variance, epsilon), one, f"{name}/more", **unfused)
        root = self._node("rsqrt", (more,), one, f"{name}/root")
        normal = self._node("mul", (centered, root), shape, f"{name}/normal", **unfused)
        scaled = self._node("mul", (normal, gamma), shape, f"{name}/scaled", **unfused)
        self.nodes.append(Node("add", name, (scaled, beta), node.outputs, unfused))

    def _constant(self, name: str, data: Any) -> int:
        self.tensors.append(Tensor(name, data.shape, data.dtype.name, None, data))
        return len(self.tensors) - 1

    def _node(self, op: str, inputs: Sequence[int], shape: Sequence[int], name: str, **attributes: Any) -> int:
        self.tensors.append(Tensor(name, tuple(shape), "float32"))
        self.nodes.append(Node(op, name, tuple(inputs), (len(self.tensors) - 1,), attributes))
        return len(self.tensors) - 1
