"""Shapes and indices that a network computes from constants and declared sizes: known before anything runs.

Converters write SHAPE, STRIDED_SLICE, PACK and the like before a RESHAPE or FILL whose result never varies.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import engine
from hwsim.errors import HwsimError
from hwsim.graph import Graph, NodeView
from hwsim.ops import operator
from hwsim.ops._base import elements

DECLARED = ("shape", "rank")
"""What depends on the declared shape of its input alone."""

INDICES = ("int32", "int64", "bool")
LARGEST = 4096
"""dtypes of indices and shapes, and how many of them may be worked out."""


def known_views(graph: Graph) -> list[NodeView]:
    """Every node with what is known of its inputs."""
    known: dict[int, NDArray[Any]] = {}
    views = []
    for node in graph.nodes:
        view = NodeView(graph, node, known)
        views.append(view)
        if _is_known(view, known):
            known.update(_values(view))
    return views


def _is_known(view: NodeView, known: Mapping[int, NDArray[Any]]) -> bool:
    if not view.outputs or any(t.dtype not in INDICES or elements(t.shape) > LARGEST for t in view.outputs):
        return False
    if view.node.op in DECLARED:
        return True
    return all(i < 0 or i in known or view.graph.tensors[i].data is not None for i in view.node.inputs)


def _values(view: NodeView) -> dict[int, NDArray[Any]]:
    """What the node computes; nothing where it cannot be run, which compiling it will say."""
    try:
        op = operator(view)
        step = op.bind(view, op.rule(engine("litert-reference"), view))
        op.check(view)
        outputs = [np.empty((1, *t.shape), t.dtype) for t in view.outputs]
        step([_input(view, position) for position in range(len(view.node.inputs))], outputs)
    except HwsimError:
        return {}
    return {index: value[0] for index, value in zip(view.node.outputs, outputs, strict=True)}


def _input(view: NodeView, position: int) -> NDArray[Any]:
    tensor = view.optional(position)
    if tensor is None:
        return np.empty(0)
    if view.node.op in DECLARED:
        return np.broadcast_to(np.zeros((), tensor.dtype), (1, *tensor.shape))
    return view.constant(position)[None]
