r"""hwsim's own file: a graph, bit for bit.

Layout, all numbers little-endian, in the manner of safetensors (https://github.com/huggingface/safetensors):

    8 bytes     magic, b"HWSIM\x00", the format's version (2), newline
    8 bytes     length of the header, padded so that the arrays begin at a multiple of 64
    32 bytes    SHA-256 of all that follows
    header      JSON: everything but arrays; each array as [offset, size in bytes], counted from the end of the header
    arrays      raw, each at a multiple of 64; codes of fewer bits than their dtype's packed, low bit first; tables of
                levels in the narrowest dtype, one row where all slices share it

Version 1, which is read too, has no checksum, and its tables are int32 or float32. Nothing in a file is executed, so
that one from a stranger is safe to read. The bytes of the file that a graph was imported from are not kept.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import GraphError, InputError, ModelFormatError
from hwsim.graph._json import integers, option, records, text
from hwsim.graph._stored import boundary, check_dtype, checked_shape
from hwsim.graph._stored_formats import format_record, read_codes, read_format, stored_codes
from hwsim.graph.graph import DTYPES, Graph, Node, Tensor

MAGIC = b"HWSIM\x00\x02\n"
MAGIC_1 = b"HWSIM\x00\x01\n"
MAGICS = (MAGIC, MAGIC_1)
ALIGNMENT = 64
LENGTH_END = len(MAGIC) + 8
CHECKSUM_BYTES = 32


def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write `graph` to `path`, whole or not at all.

    Raises
    ------
    GraphError
        If a constant is not of the shape or dtype that its tensor declares, or an option is of a type no file can hold.
    ModelFormatError
        If a dtype, scale or zero point is impossible.
    InputError
        If the file cannot be written.

    """
    target = Path(path)
    chunks = _chunks(graph)
    scratch = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        with scratch.open("xb") as stream:
            stream.writelines(chunks)
        scratch.replace(target)
    except (OSError, ValueError) as error:
        raise InputError(f"{target}: cannot write it ({error}); choose a file in a folder you can write to") from error
    finally:
        with suppress(OSError, ValueError):
            scratch.unlink()


def read(data: bytes, name: str = "hwsim file") -> Graph:
    """The graph in the bytes of a .hwsim file; constants are read-only views of `data`.

    Parameters
    ----------
    data : the whole file
    name : the file, for messages

    Raises
    ------
    ModelFormatError
        If the bytes are no such file, or damaged.
    GraphError
        If the graph in it contradicts itself.
    """
    reader = _Reader(data)
    with boundary(name, lambda: reader.where):
        return reader.graph()


def _chunks(graph: Graph) -> list[bytes]:
    arrays = _Arrays()
    header = {
        "name": graph.name,
        "tensors": [_tensor_record(tensor, arrays) for tensor in graph.tensors],
        "nodes": [_node_record(node) for node in graph.nodes],
        "inputs": _ints(graph.inputs),
        "outputs": _ints(graph.outputs),
    }
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-(LENGTH_END + CHECKSUM_BYTES + len(encoded)) % ALIGNMENT)
    checksum = hashlib.sha256(encoded)
    for chunk in arrays.chunks:
        checksum.update(chunk)
    return [MAGIC, len(encoded).to_bytes(8, "little"), checksum.digest(), encoded, *arrays.chunks]


class _Arrays:
    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.end = 0

    def add(self, raw: bytes) -> list[int]:
        padding = -self.end % ALIGNMENT
        offset = self.end + padding
        self.chunks += [bytes(padding), raw]
        self.end = offset + len(raw)
        return [offset, len(raw)]


def _tensor_record(tensor: Tensor, arrays: _Arrays) -> dict[str, Any]:
    check_dtype(tensor.dtype, f"tensor {tensor.name!r}")
    record: dict[str, Any] = {"name": tensor.name, "shape": _ints(tensor.shape), "dtype": tensor.dtype}
    if tensor.is_variable:
        record["is_variable"] = True
    if tensor.format is not None:
        record["format"] = format_record(tensor.format, tensor, arrays.add)  # fails now rather than when read back
    if tensor.data is not None:
        record["data"] = arrays.add(stored_codes(tensor))
    if tensor.initial is not None:
        record["initial"] = arrays.add(stored_codes(replace(tensor, data=tensor.initial)))
    return record


def _node_record(node: Node) -> dict[str, Any]:
    for key, value in node.attributes.items():
        _check_option(node, key, value)
    return {
        "op": node.op,
        "name": node.name,
        "inputs": _ints(node.inputs),
        "outputs": _ints(node.outputs),
        "attributes": dict(node.attributes),
    }


def _ints(values: Sequence[int]) -> list[int]:
    return [int(value) for value in values]


def _check_option(node: Node, key: str, value: object) -> None:
    numbers = isinstance(value, tuple) and all(type(number) is int for number in value)
    if not numbers and not isinstance(value, (bool, int, float, str)):
        raise GraphError(
            f"{node.op} {node.name!r}: option {key!r} is {value!r}; expected a number, a name, or a tuple of integers"
        )


class _Reader:
    """Reads one file; `where` says how far it came."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.where = "the header"
        self.arrays: NDArray[np.uint8] = np.empty(0, np.uint8)
        self.left = 0

    def graph(self) -> Graph:
        header = self._header()
        tensors = tuple(self._tensor(index, record) for index, record in enumerate(records(header["tensors"])))
        nodes = tuple(self._node(index, record) for index, record in enumerate(records(header["nodes"])))
        self.where = "the graph"
        inputs, outputs = integers(header["inputs"]), integers(header["outputs"])
        return Graph(text(header["name"]), tensors, nodes, inputs, outputs, source_format="hwsim")

    def _header(self) -> dict[str, Any]:
        magic = self.data[: len(MAGIC)]
        if magic not in MAGICS:
            raise ModelFormatError(f"begins with {magic!r}; expected {MAGIC!r}: not a .hwsim file of version 1 or 2")
        start = LENGTH_END + (CHECKSUM_BYTES if magic == MAGIC else 0)
        end = start + int.from_bytes(self.data[len(MAGIC) : LENGTH_END], "little")
        if end > len(self.data) or end % ALIGNMENT:
            raise ModelFormatError(
                f"its header ends at byte {end}; "
                f"expected a multiple of {ALIGNMENT} within the file's {len(self.data)} bytes"
            )
        if magic == MAGIC and hashlib.sha256(memoryview(self.data)[start:]).digest() != self.data[LENGTH_END:start]:
            raise ModelFormatError("its bytes do not have the checksum it states: the file is damaged, get it anew")
        self.arrays = np.frombuffer(self.data, np.uint8)[end:]
        self.left = self.arrays.size
        (header,) = records([json.loads(self.data[start:end].decode())])
        return header

    def _tensor(self, index: int, record: dict[str, Any]) -> Tensor:
        self.where = f"tensor {index}"
        name, dtype = text(record["name"]), text(record["dtype"])
        label = f"tensor {index} {name!r}"
        check_dtype(dtype, label)
        shape = checked_shape(integers(record["shape"]), label)
        tensor = Tensor(name, shape, dtype, is_variable=record.get("is_variable") is True)
        stored = record.get("format")
        if stored is not None:
            tensor = replace(tensor, format=read_format(stored, tensor, self._raw, label))
        initial = self._data(record, "initial", tensor, label) if tensor.is_variable else None
        return replace(tensor, data=self._data(record, "data", tensor, label), initial=initial)

    def _data(self, record: dict[str, Any], key: str, tensor: Tensor, label: str) -> NDArray[Any] | None:
        if key not in record:
            return None
        if tensor.dtype not in DTYPES:
            raise ModelFormatError(
                f"{label}: holds a value of dtype {tensor.dtype!r}; expected one of {', '.join(DTYPES)}"
            )
        return read_codes(self._raw(record[key]), tensor, label)

    def _raw(self, place: object) -> NDArray[np.uint8]:
        offset, size = integers(place)
        if offset < 0 or size < 0 or offset + size > self.arrays.size or offset % ALIGNMENT:
            raise ModelFormatError(
                f"{self.where}: its array is {size} bytes at {offset}; "
                f"expected a multiple of {ALIGNMENT} within the {self.arrays.size} bytes of arrays"
            )
        self.left -= size
        if self.left < 0:
            raise ModelFormatError(f"{self.where}: the arrays overlap; expected each byte to belong to one tensor")
        return self.arrays[offset : offset + size]

    def _node(self, index: int, record: dict[str, Any]) -> Node:
        self.where = f"node {index}"
        options = {key: option(value) for key, value in record["attributes"].items()}
        inputs, outputs = integers(record["inputs"]), integers(record["outputs"])
        return Node(text(record["op"]), text(record["name"]), inputs, outputs, options)
