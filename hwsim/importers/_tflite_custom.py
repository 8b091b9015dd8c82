"""Operators outside the schema: a name of their own, and their options in a map of flexbuffers.

Source: google/flatbuffers docs/source/flexbuffers.md, read and written by the `flatbuffers` package. Options are looked
up by key, which reads a bounded number of places, so that a map made to hurt costs no more than an honest one.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

from hwsim.errors import HwsimError, ModelFormatError
from hwsim.graph._stored import DAMAGE
from hwsim.graph.graph import Attribute, Graph, NodeView
from hwsim.ops import operators
from hwsim.ops._base import CUSTOM

Fields = Mapping[str, str]


def read_custom(raw: bytes, fields: Fields) -> dict[str, Attribute]:
    """What the map in `raw` has of `fields` (attribute to key); ModelFormatError where it is no such map."""
    if not raw:
        return {}
    try:
        root = _flexbuffers().GetRoot(raw)
        if not root.IsMap:
            raise ValueError("no map")
        found = {attribute: _value(root.AsMap, key) for attribute, key in fields.items()}
    except (*DAMAGE, AssertionError) as error:
        raise ModelFormatError(f"custom options of {len(raw)} bytes are no flexbuffer map ({error})") from None
    return {attribute: value for attribute, value in found.items() if value is not None}


def written_custom(attributes: Mapping[str, Attribute], fields: Fields) -> bytes:
    """The options as a map of flexbuffers."""
    builder = _flexbuffers().Builder()
    with builder.Map():
        for attribute, key in fields.items():
            value = attributes.get(attribute)
            if isinstance(value, bool):
                builder.Bool(key, value)
            elif isinstance(value, int):
                builder.Int(key, value)
            elif isinstance(value, float):
                builder.Float(key, value)
    return bytes(builder.Finish())


def with_custom_shapes(graph: Graph) -> Graph:
    """The graph with the shapes that converters leave out, of what operators outside the schema compute."""
    tensors = list(graph.tensors)
    for node in graph.nodes:
        op = operators().get(node.op)
        if op is None or not op.sources.get("tflite", "").startswith(CUSTOM):
            continue
        try:
            shapes = op.infer_shapes(NodeView(graph, node))
        except HwsimError:  # said again, with the reason, when the graph is compiled
            continue
        for index, shape in zip(node.outputs, shapes, strict=False):
            if tensors[index].shape == ():
                tensors[index] = replace(tensors[index], shape=shape)
    return replace(graph, tensors=tuple(tensors))


def _value(map_: Any, key: str) -> Attribute | None:
    try:
        found = map_[key]
    except KeyError:
        return None
    if found.IsBool:
        return bool(found.AsBool)
    if found.IsInt:
        return int(found.AsInt)
    return float(found.AsFloat) if found.IsFloat else None


def _flexbuffers() -> Any:
    return import_module("flatbuffers.flexbuffers")
