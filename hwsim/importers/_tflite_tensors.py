"""The tensors of a `.tflite` file: shapes, number formats and constants.

Source: the rules of LiteRT's tflite/core/interpreter_builder.cc (ParseTensors, ParseQuantization).
"""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ModelFormatError, UnsupportedError
from hwsim.graph._stored import checked_affine, checked_shape, constant
from hwsim.graph.formats import Affine
from hwsim.graph.graph import Tensor
from hwsim.importers._tflite_compression import LookUp, compressed_tensors, decompressed
from hwsim.importers._tflite_reader import CONSTANT_BYTES, QUANTIZATION_BYTES, TENSOR_BYTES, Reader
from hwsim.importers._tflite_schema import INT4_BITS, PACKED_INT4, has_numpy_dtype, names


class TensorReader:
    """Reads the tensors of one subgraph.

    Attributes
    ----------
    without_value : indices of constants that hwsim cannot hold in an array (texts, resources), and their types
    """

    def __init__(self, reader: Reader, model: Any, subgraph: int = 0) -> None:
        self.without_value: dict[int, str] = {}
        self._reader = reader
        self._model = model
        self._compressed = compressed_tensors(reader, model, subgraph)
        self._taken: set[str] = set()
        self._constants: dict[tuple[int, str], NDArray[Any]] = {}

    @property
    def compressed(self) -> bool:
        """Whether any constant is stored as indices into a table."""
        return bool(self._compressed)

    def tensors(self, subgraph: Any) -> list[Tensor]:
        """Every tensor, in the file's order."""
        tables = self._reader.tables(subgraph, "Tensors", TENSOR_BYTES)
        return [self._tensor(index, table) for index, table in enumerate(tables)]

    def _tensor(self, index: int, table: Any) -> Tensor:
        self._reader.where = f"tensor {index}"
        name = self._unique_name(index, self._reader.text(table.Name()))
        label = f"tensor {index} {name!r}"
        type_name = _type_name(table.Type(), label)
        shape = checked_shape(self._reader.integers(table, "Shape"), label)
        if table.Sparsity() is not None:
            raise UnsupportedError(
                f"{label}: is stored sparse; hwsim needs it dense: convert the model without sparsity"
            )
        dtype = "int8" if type_name == PACKED_INT4 else type_name
        tensor = Tensor(name, shape, dtype, is_variable=table.IsVariable())
        form = self._format(table, tensor, label)
        if type_name == PACKED_INT4 and form is not None:
            form = replace(form, bits=INT4_BITS)
        tensor = replace(tensor, format=form)
        return replace(tensor, data=self._value(index, table, tensor, type_name, label))

    def _unique_name(self, index: int, name: str) -> str:
        name = name or f"tensor_{index}"
        while name in self._taken:
            name += f"#{index}"
        self._taken.add(name)
        return name

    def _format(self, table: Any, tensor: Tensor, label: str) -> Affine | None:
        """Scale and zero point; of reals, which have no codes, nothing."""
        found = table.Quantization()
        if found is None or not tensor.dtype.startswith(("int", "uint")):
            return None
        if found.DetailsType() != 0:
            raise UnsupportedError(
                f"{label}: has a quantization of type {found.DetailsType()}; expected scale and zero point"
            )
        scale = self._reader.numbers(found, "Scale")
        if np.count_nonzero(scale) == 0:
            return None
        self._reader.charge(QUANTIZATION_BYTES)
        zero_point = _spread(self._reader.numbers(found, "ZeroPoint"), scale.size, label)
        axis = found.QuantizedDimension() if scale.size > 1 else None
        return checked_affine(scale, zero_point, axis, tensor, label)

    def _value(self, index: int, table: Any, tensor: Tensor, type_name: str, label: str) -> NDArray[Any] | None:
        raw = self._buffer(table.Buffer(), label)
        if raw.size == 0:
            return None
        if tensor.is_variable:
            raise UnsupportedError(
                f"{label}: is a variable with a value in the file; LiteRT and hwsim start variables at 0"
            )
        if not has_numpy_dtype(type_name):
            self.without_value[index] = type_name
            return None
        self._reader.charge(CONSTANT_BYTES)
        if index in self._compressed:
            return self._decompressed(self._compressed[index], raw, tensor, label)
        key = table.Buffer(), type_name
        if key not in self._constants or self._constants[key].size != prod(tensor.shape):
            self._constants[key] = self._constant(raw, tensor, type_name, label)
        return self._constants[key].reshape(tensor.shape)

    def _decompressed(self, found: LookUp, raw: NDArray[np.uint8], tensor: Tensor, label: str) -> NDArray[Any]:
        self._reader.charge(raw.size)
        stored, form = self._buffer(found.value_buffer, label), tensor.format
        size = stored.size // np.dtype(tensor.dtype).itemsize
        values = constant(stored, tensor.dtype, (size,), f"{label}: its table")
        axis = form.axis if form is not None and form.is_per_channel else None
        return decompressed(raw, values, found.bits, tensor.shape, axis, label)

    def _constant(self, raw: NDArray[np.uint8], tensor: Tensor, type_name: str, label: str) -> NDArray[Any]:
        if type_name == PACKED_INT4:
            self._reader.charge(raw.size)
            return _unpack_int4(raw, tensor.shape, label)
        array = constant(raw, tensor.dtype, tensor.shape, label)
        if tensor.dtype == "bool" or not np.may_share_memory(array, raw):
            self._reader.charge(raw.size)
        return array

    def _buffer(self, index: int, label: str) -> NDArray[np.uint8]:
        if index == 0:
            return np.empty(0, np.uint8)
        table = self._reader.table(self._model, "Buffers", index)
        if table.Offset() <= 1:
            values = table.DataAsNumpy()
            return np.empty(0, np.uint8) if isinstance(values, int) else values
        start, size, octets = table.Offset(), table.Size(), self._reader.octets
        if start + size > octets.size:
            raise ModelFormatError(
                f"{label}: its value is {size} bytes at {start}; the file ends at {octets.size}: the file is cut short"
            )
        return octets[start : start + size]


def _type_name(code: int, label: str) -> str:
    known = names("TensorType")
    if code not in known:
        raise UnsupportedError(
            f"{label}: has type number {code}; known are 0..{max(known)}: damaged, or newer than hwsim"
        )
    return known[code]


def _spread(zero_point: NDArray[Any], scales: int, label: str) -> NDArray[np.int64]:
    if zero_point.size == 0:
        return np.zeros(scales, np.int64)
    if zero_point.size not in (1, scales):
        raise ModelFormatError(
            f"{label}: has {zero_point.size} zero points for {scales} scales; expected as many, or one"
        )
    return np.broadcast_to(zero_point, scales).astype(np.int64)


def _unpack_int4(packed: NDArray[np.uint8], shape: tuple[int, ...], label: str) -> NDArray[np.int8]:
    count = prod(shape)
    if packed.size != (count + 1) // 2:
        raise ModelFormatError(
            f"{label}: holds {packed.size} bytes; {list(shape)} of int4 needs {(count + 1) // 2}: the file is damaged"
        )
    codes = np.empty((packed.size, 2), np.int8)
    codes[:, 0] = (packed << 4).view(np.int8) >> 4
    codes[:, 1] = packed.view(np.int8) >> 4
    unpacked = codes.reshape(-1)[:count].reshape(shape)
    unpacked.setflags(write=False)
    return unpacked
