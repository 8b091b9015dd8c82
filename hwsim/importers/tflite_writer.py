"""Graph to a TensorFlow Lite file, the inverse of the importer, for LiteRT and TensorFlow Lite Micro to run.

Generic over operators in the same way: what an operator's file says about its options is all that is known here.

Source: schema.fbs, version 3, through the `tflite` package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

from hwsim.errors import GraphError, InputError, UnsupportedError
from hwsim.graph._stored import DAMAGE, constant_bytes
from hwsim.graph.formats import Affine
from hwsim.graph.graph import Attribute, Graph, Node, Tensor
from hwsim.importers._tflite_custom import written_custom
from hwsim.importers._tflite_schema import (
    IDENTIFIER,
    INT4_BITS,
    INTERMEDIATES,
    PACKED_INT4,
    SCHEMA_VERSION,
    enum_of,
    members,
    names,
    operator_version,
    schema,
)
from hwsim.importers._tflite_variables import ASSIGN, READ
from hwsim.ops import operators
from hwsim.ops._base import CUSTOM, CUSTOM_OPTIONS, TfliteOptions
from hwsim.quantizers.packing import pack

BUFFER_ALIGNMENT = 16
LARGEST_FILE = 2**31 - 2**20


def to_tflite(graph: Graph) -> bytes:
    """The graph as the bytes of a `.tflite` file; the same graph gives the same bytes.

    Raises
    ------
    UnsupportedError
        If an operator, an option, a dtype or the size has no place in such a file.
    GraphError
        If a constant or an option does not fit what its tensor or operator declares.
    """
    size = sum(tensor.data.nbytes for tensor in graph.tensors if tensor.data is not None)
    if size > LARGEST_FILE:
        raise UnsupportedError(
            f"graph {graph.name!r}: has {size} bytes of constants; a .tflite file holds {LARGEST_FILE}"
        )
    return _Writer(graph).file()


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._builder = flatbuffers.Builder(1024)
        self._buffers: dict[bytes, int] = {b"": 0}
        self._codes: dict[tuple[str, int], int] = {}
        self._resources = resources(graph)

    def file(self) -> bytes:
        graph = self._graph
        first = [self._once()] if self._resources else []
        tensors = [self._tensor(tensor, i in self._resources) for i, tensor in enumerate(graph.tensors)]
        handles = [self._handle(i, graph.tensors[i].name) for i in self._resources]
        operators_ = [*first, *handles, *(self._operator(node, graph.tensors) for node in graph.nodes)]
        subgraphs = [self._subgraph(tensors, operators_, graph.inputs, graph.outputs, graph.name)]
        if self._resources:
            subgraphs.append(self._first_values())
        model = self._table(
            "Model",
            Version=SCHEMA_VERSION,
            OperatorCodes=self._offsets([self._operator_code(*code) for code in self._codes]),
            Subgraphs=self._offsets(subgraphs),
            Description=self._text("written by hwsim"),
            Buffers=self._offsets([self._buffer(raw) for raw in self._buffers]),
        )
        self._builder.Finish(model, IDENTIFIER)
        return bytes(self._builder.Output())

    def _subgraph(
        self, tensors: Sequence[int], nodes: Sequence[int], inputs: Sequence[int], outputs: Sequence[int], name: str
    ) -> int:
        return self._table(
            "SubGraph",
            Tensors=self._offsets(tensors),
            Inputs=self._integers(inputs),
            Outputs=self._integers(outputs),
            Operators=self._offsets(nodes),
            Name=self._text(name),
        )

    def _once(self) -> int:
        """CALL_ONCE, which gives resource variables their first values."""
        return self._bare("CALL_ONCE", (), (), "CallOnceOptions", InitSubgraphIndex=1)

    def _handle(self, index: int, name: str) -> int:
        return self._bare("VAR_HANDLE", (), (index,), "VarHandleOptions", SharedName=self._text(name))

    def _first_values(self) -> int:
        """The subgraph of handles, each followed by its variable's first value, and the assignments."""
        tensors: list[int] = []
        nodes: list[int] = []
        for index in self._resources:
            variable = self._graph.tensors[index]
            value = replace(variable, name=f"{variable.name}/first", data=variable.reset_value, is_variable=False)
            position = len(tensors)
            tensors += [self._tensor(variable, True), self._tensor(value, False)]
            nodes.append(self._handle(position, variable.name))
            nodes.append(self._bare("ASSIGN_VARIABLE", (position, position + 1), (), "AssignVariableOptions"))
        return self._subgraph(tensors, nodes, (), (), "first values")

    def _bare(self, builtin: str, inputs: Sequence[int], outputs: Sequence[int], table: str, **fields: Any) -> int:
        """An operator that is no node of the graph."""
        code = builtin, 1
        return self._table(
            "Operator",
            OpcodeIndex=self._codes.setdefault(code, len(self._codes)),
            Inputs=self._integers(inputs),
            Outputs=self._integers(outputs),
            BuiltinOptionsType=members("BuiltinOptions")[table],
            BuiltinOptions=self._table(table, **fields),
        )

    def _tensor(self, tensor: Tensor, resource: bool) -> int:
        if resource:  # the handle of a variable that lies outside the graph
            return self._table(
                "Tensor", Shape=self._integers(()), Type=members("TensorType")["RESOURCE"], Name=self._text(tensor.name)
            )
        raw = constant_bytes(tensor)
        if _is_int4(tensor):
            raw = _packed_int4(tensor)
        return self._table(
            "Tensor",
            Shape=self._integers(tensor.shape),
            Type=_tensor_type(tensor),
            Buffer=self._buffers.setdefault(raw, len(self._buffers)),
            Name=self._text(tensor.name),
            Quantization=None if tensor.format is None else self._quantization(tensor.affine),
            IsVariable=tensor.is_variable,
        )

    def _quantization(self, format_: Affine) -> int:
        return self._table(
            "QuantizationParameters",
            Scale=self._builder.CreateNumpyVector(format_.scale.astype(np.float32)),
            ZeroPoint=self._builder.CreateNumpyVector(format_.zero_point.astype(np.int64)),
            QuantizedDimension=format_.axis or 0,
        )

    def _operator(self, node: Node, tensors: Sequence[Tensor]) -> int:
        label = f"{node.op} {node.name!r}"
        source, options = _known_operator(node, label)
        dtypes = {tensors[index].dtype for index in (*node.inputs, *node.outputs) if index >= 0}
        code = source, operator_version(source, dtypes, node.attributes)
        intermediates = node.attributes.get(INTERMEDIATES)
        return self._table(
            "Operator",
            OpcodeIndex=self._codes.setdefault(code, len(self._codes)),
            Inputs=self._integers(node.inputs),
            Outputs=self._integers(node.outputs),
            **self._options(node.attributes, options, label),
            Intermediates=self._integers(intermediates) if isinstance(intermediates, tuple) else None,
        )

    def _options(
        self, attributes: Mapping[str, Attribute], options: TfliteOptions | None, label: str
    ) -> dict[str, int]:
        known = {} if options is None else options.fields
        for key in attributes:
            if key not in known and key != INTERMEDIATES:
                raise UnsupportedError(
                    f"{label}: option {key!r} has no place in a .tflite file; it holds {', '.join(known)}"
                )
        if options is None:
            return {}
        if options.table == CUSTOM_OPTIONS:
            return {options.table: self._builder.CreateByteVector(written_custom(attributes, options.fields))}
        fields = {
            field: self._option(attributes[key], field, f"{label}: option {key!r}")
            for key, field in known.items()
            if key in attributes
        }
        union = next(union for union in ("BuiltinOptions", "BuiltinOptions2") if options.table in members(union))
        return {f"{union}Type": members(union)[options.table], union: self._options_table(options.table, fields, label)}

    def _options_table(self, table: str, fields: Mapping[str, Any], label: str) -> int:
        try:
            return self._table(table, **fields)
        except DAMAGE as error:
            values = ", ".join(f"{field} {value!r}" for field, value in fields.items())
            raise GraphError(f"{label}: its options do not fit the file's {table} ({values}): {error}") from error

    def _option(self, value: Attribute, field: str, label: str) -> int | float:
        if isinstance(value, tuple):
            return self._integers(value)
        enum = enum_of(field)
        if enum is not None:
            return _enum_value(enum, value, label)
        return self._text(value) if isinstance(value, str) else value

    def _operator_code(self, source: str, version: int) -> int:
        custom = source.removeprefix(CUSTOM) if source.startswith(CUSTOM) else None
        builtin = members("BuiltinOperator")["CUSTOM" if custom else source]
        return self._table(
            "OperatorCode",
            DeprecatedBuiltinCode=min(builtin, members("BuiltinOperator")["PLACEHOLDER_FOR_GREATER_OP_CODES"]),
            CustomCode=self._text(custom) if custom else None,
            Version=version,
            BuiltinCode=builtin,
        )

    def _buffer(self, raw: bytes) -> int:
        if not raw:
            return self._table("Buffer")
        self._builder.Prep(BUFFER_ALIGNMENT, len(raw))
        return self._table("Buffer", Data=self._builder.CreateByteVector(raw))

    def _table(self, name: str, **fields: Any) -> int:
        getattr(schema(), f"{name}Start")(self._builder)
        for field, value in fields.items():
            if value is not None:
                getattr(schema(), f"{name}Add{field}")(self._builder, value)
        return int(getattr(schema(), f"{name}End")(self._builder))

    def _offsets(self, tables: Sequence[int]) -> int:
        self._builder.StartVector(4, len(tables), 4)
        for offset in reversed(tables):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _integers(self, values: Sequence[int]) -> int:
        array: NDArray[np.int32] = np.array(values, np.int32)
        return int(self._builder.CreateNumpyVector(array))

    def _text(self, value: str) -> int:
        return int(self._builder.CreateString(value.encode(errors="backslashreplace")))


def resources(graph: Graph) -> list[int]:
    """The variables that nodes read and assign by name, which a file keeps outside its graph."""
    return sorted({node.inputs[0] for node in graph.nodes if node.op in (READ, ASSIGN)})


def _known_operator(node: Node, label: str) -> tuple[str, TfliteOptions | None]:
    op = operators().get(node.op)
    source = "" if op is None else op.sources.get("tflite", "")
    if op is None or not (source in members("BuiltinOperator") or source.startswith(CUSTOM)):
        raise UnsupportedError(f"{label}: hwsim cannot write this operator to a .tflite file; save the graph as .hwsim")
    return source, op.options


def _is_int4(tensor: Tensor) -> bool:
    """Whether a constant's codes go two in a byte; what is computed stays int8, narrowed or not."""
    form = tensor.format
    return tensor.is_constant and tensor.dtype == "int8" and isinstance(form, Affine) and form.bits == INT4_BITS


def _packed_int4(tensor: Tensor) -> bytes:
    """int8 codes as half bytes, the low half first."""
    assert tensor.data is not None
    try:
        return pack(tensor.data, INT4_BITS, signed=True).tobytes()
    except InputError as error:
        raise GraphError(f"tensor {tensor.name!r}: {error}") from None


def _tensor_type(tensor: Tensor) -> int:
    types = {name: number for number, name in names("TensorType").items()}
    if _is_int4(tensor):
        return types[PACKED_INT4]
    if tensor.dtype not in types:
        raise UnsupportedError(f"tensor {tensor.name!r}: dtype {tensor.dtype!r} has no place in a .tflite file")
    return types[tensor.dtype]


def _enum_value(enum: str, value: Attribute, label: str) -> int:
    known = {name: number for number, name in names(enum).items()}
    if not isinstance(value, str) or value not in known:
        raise UnsupportedError(f"{label} is {value!r}; a .tflite file knows {', '.join(known)}")
    return known[value]
