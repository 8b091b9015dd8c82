"""TensorFlow Lite files (`.tflite`): bytes to a Graph.

Generic over operators: an operator's file names its built-in operator and where its options are kept; an operator that
hwsim does not have stays in the graph under the file's own name, for tables to list and for compiling to refuse. Only
the first subgraph is read, and what gives resource variables their first values. int4 constants (two per byte, the low
half first) are unpacked to int8 codes: such a tensor has dtype int8, and all arithmetic on it is that of int8.

Source: schema.fbs, version 3, through the `tflite` package; LiteRT's tflite/core/interpreter_builder.cc for what it
accepts.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import PurePath
from typing import Any

import numpy as np
from flatbuffers.number_types import Int32Flags

from hwsim.errors import ModelFormatError, UnsupportedError
from hwsim.graph._stored import boundary
from hwsim.graph.graph import DTYPES, Attribute, Graph, Node, Tensor
from hwsim.importers._tflite_custom import read_custom, with_custom_shapes
from hwsim.importers._tflite_reader import OPERATOR_BYTES, Reader
from hwsim.importers._tflite_schema import INTERMEDIATES, builtin_names, enum_of, members, names, schema
from hwsim.importers._tflite_tensors import TensorReader
from hwsim.importers._tflite_variables import OPTIONS as VARIABLE_OPTIONS
from hwsim.importers._tflite_variables import with_variables
from hwsim.ops import by_source
from hwsim.ops._base import CUSTOM, CUSTOM_OPTIONS, Op, TfliteOptions

BUILTIN_CODE_SLOT = 10
EMPTY_TABLE = b"\x04\x00\x04\x00\x04\x00\x00\x00"
"""A flatbuffer table at byte 4 in which every field is absent, and so has the schema's default."""


def read(data: bytes, name: str) -> Graph:
    """The first subgraph of a `.tflite` file; constants are read-only, views of `data` where possible.

    Parameters
    ----------
    data : the whole file
    name : the file, for messages; its stem becomes the graph's name

    Raises
    ------
    ModelFormatError
        If the bytes are cut short, damaged, or made to unfold to far more than the file's size.
    UnsupportedError
        If a tensor is stored in a way hwsim cannot read: sparse, a variable with a value, a constant text.
    GraphError
        If the graph contradicts itself.
    """
    reader, known = Reader(data), by_source("tflite")
    with boundary(name, lambda: reader.where):
        return _GraphReader(reader, known).graph(PurePath(name).stem or name)


class _GraphReader:
    def __init__(self, reader: Reader, known: Mapping[str, Op]) -> None:
        self._reader = reader
        self._known = known
        self._model = reader.model()
        self._tensors = TensorReader(reader, self._model)
        self._compressed = False
        self._operator_names: dict[int, str] = {}

    def graph(self, name: str) -> Graph:
        subgraph = self._reader.table(self._model, "Subgraphs", 0)
        tensors, nodes = with_variables(*self._part(0), self._part)
        self._reader.where = "the graph's inputs and outputs"
        inputs, outputs = (self._reader.integers(subgraph, field) for field in ("Inputs", "Outputs"))
        tensors = _with_empty_constants(tensors, nodes, inputs)
        return with_custom_shapes(
            Graph(name, tuple(tensors), tuple(nodes), inputs, outputs, self._reader.data, "tflite", self._compressed)
        )

    def _part(self, number: int) -> tuple[list[Tensor], list[Node]]:
        """The tensors and nodes of one subgraph."""
        subgraph = self._reader.table(self._model, "Subgraphs", number)
        self._tensors = TensorReader(self._reader, self._model, number)
        self._compressed |= self._tensors.compressed
        tensors = self._tensors.tensors(subgraph)
        operators = self._reader.tables(subgraph, "Operators", OPERATOR_BYTES)
        return tensors, [self._node(index, table, tensors) for index, table in enumerate(operators)]

    def _node(self, index: int, table: Any, tensors: list[Tensor]) -> Node:
        self._reader.where = f"operator {index}"
        source = self._operator_name(table.OpcodeIndex())
        self._reader.where = label = f"operator {index} ({source})"
        inputs, outputs = (self._reader.integers(table, field) for field in ("Inputs", "Outputs"))
        self._check_values(inputs, tensors, label)
        op = self._known.get(source)
        known = VARIABLE_OPTIONS.get(source) if op is None else op.options
        options = {} if known is None else self._options(table, known)
        intermediates = self._reader.integers(table, "Intermediates")
        if intermediates:
            options[INTERMEDIATES] = self._checked_intermediates(intermediates, len(tensors), label)
        named = outputs and 0 <= outputs[0] < len(tensors)
        name = tensors[outputs[0]].name if named else f"operator_{index}"
        return Node(source if op is None else op.name, name, inputs, outputs, options)

    def _operator_name(self, index: int) -> str:
        if index not in self._operator_names:
            code = self._reader.table(self._model, "OperatorCodes", index)
            builtin = _builtin_code(code)
            name = builtin_names().get(builtin, f"BUILTIN_{builtin}")
            self._operator_names[index] = (
                f"{CUSTOM}{self._reader.text(code.CustomCode())}" if name == "CUSTOM" else name
            )
        return self._operator_names[index]

    def _check_values(self, inputs: tuple[int, ...], tensors: list[Tensor], label: str) -> None:
        for index in inputs:
            if index in self._tensors.without_value:
                kind = self._tensors.without_value[index]
                raise UnsupportedError(
                    f"{label}: reads the constant {tensors[index].name!r} of type {kind}; "
                    f"hwsim holds constants of {', '.join(DTYPES)}"
                )

    def _checked_intermediates(self, indices: tuple[int, ...], tensors: int, label: str) -> tuple[int, ...]:
        for index in indices:
            if not -1 <= index < tensors:
                raise ModelFormatError(f"{label}: has intermediate tensor {index}; expected -1..{tensors - 1}")
        return indices

    def _options(self, operator: Any, options: TfliteOptions) -> dict[str, Attribute]:
        if options.table == CUSTOM_OPTIONS:
            return read_custom(bytes(self._reader.numbers(operator, "CustomOptions")), options.fields)
        table = _options_table(operator, options.table)
        return {key: self._option(table, field) for key, field in options.fields.items()}

    def _option(self, table: Any, field: str) -> Attribute:
        if hasattr(table, f"{field}AsNumpy"):
            return self._reader.integers(table, field)
        value: int | float | bool | bytes | None = getattr(table, field)()
        if value is None or isinstance(value, bytes):
            return self._reader.text(value)
        enum = enum_of(field)
        return value if enum is None else _enum_name(enum, int(value), field, self._reader.where)


def _builtin_code(code: Any) -> int:
    # The package's own BuiltinCode() ignores codes below 127, which a file may give there alone; LiteRT takes the
    # larger of the two.
    builtin: int = code._tab.GetSlot(BUILTIN_CODE_SLOT, 0, Int32Flags)
    return max(builtin, int(code.DeprecatedBuiltinCode()))


def _options_table(operator: Any, name: str) -> Any:
    table = getattr(schema(), name)()
    table.Init(EMPTY_TABLE, 4)
    for union in ("BuiltinOptions", "BuiltinOptions2"):
        found = getattr(operator, union)() if getattr(operator, f"{union}Type")() == members(union).get(name) else None
        if found is not None:
            table.Init(found.Bytes, found.Pos)
    return table


def _enum_name(enum: str, value: int, field: str, label: str) -> str:
    known: Mapping[int, str] = names(enum)
    if value not in known:
        raise ModelFormatError(f"{label}: {field} is {value}; expected 0..{max(known)} ({', '.join(known.values())})")
    return known[value]


def _with_empty_constants(tensors: list[Tensor], nodes: list[Node], inputs: tuple[int, ...]) -> list[Tensor]:
    """A tensor without elements that is read and never computed is a constant: its value takes no bytes in the file."""
    computed = {index for node in nodes for index in node.outputs} | set(inputs)
    needed = {index for node in nodes for index in node.inputs} - computed
    return [
        replace(tensor, data=_empty(tensor)) if index in needed and _is_empty(tensor) else tensor
        for index, tensor in enumerate(tensors)
    ]


def _is_empty(tensor: Tensor) -> bool:
    return tensor.data is None and not tensor.is_variable and tensor.dtype in DTYPES and prod(tensor.shape) == 0


def _empty(tensor: Tensor) -> Any:
    array = np.empty(tensor.shape, tensor.dtype)
    array.setflags(write=False)
    return array
