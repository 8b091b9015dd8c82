"""Tensors, nodes, graphs, number formats and hwsim's own file format."""

from hwsim.graph.formats import Affine, Format, Grouped, Levels
from hwsim.graph.graph import Attribute, Graph, Node, NodeView, Tensor

__all__ = ["Affine", "Attribute", "Format", "Graph", "Grouped", "Levels", "Node", "NodeView", "Tensor"]
