"""Write a graph node by node."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwsim.graph.graph import ABSENT, Attribute, Graph, Node, Tensor


class Builder:
    """Tensors and nodes as they are added; indices stand for tensors."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []
        self.inputs: list[int] = []
        self._taken: dict[str, int] = {}

    def input(self, name: str, shape: Sequence[int], dtype: str = "float32") -> int:
        """An input of the graph."""
        self.inputs.append(self._add(Tensor(self._unique(name), tuple(shape), dtype)))
        return self.inputs[-1]

    def constant(self, name: str, values: Any) -> int:
        """A constant; its dtype is the array's."""
        data = np.ascontiguousarray(values)
        return self._add(Tensor(self._unique(name), data.shape, data.dtype.name, None, data))

    def node(
        self, op: str, inputs: Sequence[int], shape: Sequence[int], name: str = "", **attributes: Attribute
    ) -> int:
        """A node with one float32 output of `shape`, which has the node's name; absent inputs are -1."""
        output = self._add(Tensor(self._unique(name or op), tuple(shape), "float32"))
        self.nodes.append(Node(op, self.tensors[output].name, tuple(inputs), (output,), attributes))
        return output

    def shape(self, index: int) -> tuple[int, ...]:
        """The shape of a tensor."""
        return self.tensors[index].shape

    def maker(self, index: int) -> Node | None:
        """The node that computes a tensor."""
        return next((node for node in reversed(self.nodes) if index in node.outputs), None)

    def replace_data(self, index: int, values: Any) -> None:
        """Give a constant other values, in its own dtype and shape."""
        tensor = self.tensors[index]
        data = np.ascontiguousarray(values, tensor.dtype).reshape(tensor.shape)
        self.tensors[index] = replace(tensor, data=data)

    def set_attributes(self, node: int | None = None, **attributes: Attribute) -> None:
        """Change options of a node, by default of the last one."""
        place = len(self.nodes) - 1 if node is None else node
        self.nodes[place] = replace(self.nodes[place], attributes={**self.nodes[place].attributes, **attributes})

    def graph(self, *outputs: int) -> Graph:
        """The graph with these outputs."""
        return Graph(self.name, tuple(self.tensors), tuple(self.nodes), tuple(self.inputs), outputs)

    def _add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def _unique(self, name: str) -> str:
        count = self._taken[name] = self._taken.get(name, 0) + 1
        return name if count == 1 else self._unique(f"{name}_{count}")


__all__ = ["ABSENT", "Builder"]
