"""TensorFlow Lite Micro's compressed constants: bit strings of indices into tables of values.

Source: tensorflow/tflite-micro tensorflow/lite/micro/compression/metadata.fbs and docs/compression.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from flatbuffers import number_types
from flatbuffers.encode import Get
from flatbuffers.packer import uoffset
from flatbuffers.table import Table
from numpy.typing import NDArray

from hwsim.errors import ModelFormatError, UnsupportedError
from hwsim.importers._tflite_reader import Reader

KEY = b"COMPRESSION_METADATA"
VERSION = 1
WIDTHS = range(1, 8)
LUT_TENSOR_BYTES, METADATA_BYTES = 12, 8
_FIRST, _SECOND, _THIRD = 4, 6, 8
"""Slots of a table's fields."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """How one constant is stored: buffer of its values, and bits of an index into them."""

    value_buffer: int
    bits: int


def compressed_tensors(reader: Reader, model: Any, subgraph: int) -> Mapping[int, LookUp]:
    """The compressed constants of a subgraph by tensor index.

    Raises UnsupportedError for a newer version, ModelFormatError where an index has an impossible width.
    """
    raw = _metadata(reader, model)
    if raw is None:
        return {}
    reader.where = "the compression metadata"
    root = Table(raw, Get(uoffset, raw, 0))
    version = root.GetSlot(_FIRST, VERSION, number_types.Uint32Flags)
    if version > VERSION:
        raise UnsupportedError(f"compression metadata has version {version}; hwsim reads version {VERSION}")
    parts = _tables(reader, root, _SECOND)
    found = {}
    for entry in _tables(reader, parts[subgraph], _FIRST) if subgraph < len(parts) else []:
        tensor = entry.GetSlot(_FIRST, 0, number_types.Int32Flags)
        bits = entry.GetSlot(_THIRD, 0, number_types.Uint8Flags)
        if bits not in WIDTHS:
            raise ModelFormatError(f"tensor {tensor}: has indices of {bits} bits; must be {WIDTHS[0]} to {WIDTHS[-1]}")
        found[int(tensor)] = LookUp(int(entry.GetSlot(_SECOND, 0, number_types.Uint32Flags)), int(bits))
    return found


def decompressed(
    packed: NDArray[np.uint8], values: NDArray[Any], bits: int, shape: tuple[int, ...], axis: int | None, label: str
) -> NDArray[Any]:
    """The constant that the bit string `packed` stands for.

    values : one table, or with `axis` one after another for each index along that axis
    """
    count, channels = prod(shape), 1 if axis is None else shape[axis]
    if packed.size != -(-count * bits // 8):
        raise ModelFormatError(
            f"{label}: holds {packed.size} bytes; {list(shape)} indices of {bits} bits need {-(-count * bits // 8)}"
        )
    if channels == 0 or values.size == 0 or values.size % channels:
        raise ModelFormatError(f"{label}: has {values.size} values; expected as many for each of {channels} channels")
    digits = np.unpackbits(packed)[: count * bits].reshape(count, bits)
    indices = np.zeros(count, np.uint8)
    for bit in range(bits):
        indices |= digits[:, bit] << np.uint8(bits - 1 - bit)
    stride = values.size // channels
    if indices.max(initial=0) >= stride:
        raise ModelFormatError(f"{label}: index {indices.max()} is beyond its table of {stride} values")
    tables = values.reshape(channels, stride)
    split = indices.reshape(-1, 1, count) if axis is None else indices.reshape(prod(shape[:axis]), channels, -1)
    result: NDArray[Any] = np.empty(split.shape, values.dtype)
    for channel in range(channels):
        result[:, channel] = tables[channel][split[:, channel]]
    result = result.reshape(shape)
    result.setflags(write=False)
    return result


def _metadata(reader: Reader, model: Any) -> bytes | None:
    """The bytes of the compression metadata, None where there are none."""
    for entry in reader.tables(model, "Metadata", METADATA_BYTES):
        if entry.Name() == KEY:
            values = reader.table(model, "Buffers", entry.Buffer()).DataAsNumpy()
            return b"" if isinstance(values, int) else bytes(values)
    return None


def _tables(reader: Reader, parent: Table, slot: int) -> list[Table]:
    """The tables of a vector, each charged for."""
    offset = parent.Offset(slot)
    if offset == 0:
        return []
    count, start = parent.VectorLen(offset), parent.Vector(offset)
    reader.charge(count * LUT_TENSOR_BYTES)
    return [Table(parent.Bytes, parent.Indirect(start + 4 * index)) for index in range(count)]
