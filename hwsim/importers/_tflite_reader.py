"""Bounded access to a flatbuffer that may have been made to hurt.

The Python runtime of flatbuffers verifies nothing. It does refuse to read outside the bytes, but vectors may claim any
length, and many entries may point to the same bytes: a small file can then unfold to a huge graph. Here everything that
is read is charged at the least that it takes in an honest file, and the sum may not pass the size of the file.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import ModelFormatError
from hwsim.importers._tflite_schema import IDENTIFIER, SCHEMA_VERSION, schema

TENSOR_BYTES = 24
OPERATOR_BYTES = 24
QUANTIZATION_BYTES = 16
CONSTANT_BYTES = 8


class Reader:
    """One file being read.

    Parameters
    ----------
    data : the whole file

    Attributes
    ----------
    where : what is being read, for messages
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.octets: NDArray[np.uint8] = np.frombuffer(data, np.uint8)
        self.where = "the header"
        self._left = len(data)

    def model(self) -> Any:
        """The root table; ModelFormatError where this is no TensorFlow Lite model of version 3."""
        if self.data[4:8] != IDENTIFIER:
            raise ModelFormatError(
                f"has {self.data[4:8]!r} at byte 4; expected {IDENTIFIER!r}: not a TensorFlow Lite model"
            )
        model = schema().Model.GetRootAs(self.data, 0)
        if model.Version() != SCHEMA_VERSION:
            raise ModelFormatError(
                f"has schema version {model.Version()}; expected {SCHEMA_VERSION}: convert the model anew"
            )
        return model

    def charge(self, size: int) -> None:
        """Account for `size` bytes that were read; ModelFormatError once that is more than the file holds."""
        self._left -= size
        if self._left < 0:
            raise ModelFormatError(
                f"{self.where}: refers to more than the file's {len(self.data)} bytes hold; "
                "the file is cut short, damaged, or made to unfold without end"
            )

    def tables(self, parent: Any, field: str, least: int) -> Iterator[Any]:
        """The tables of a vector, each of which takes at least `least` bytes."""
        count = getattr(parent, f"{field}Length")()
        self.charge(count * least)
        return (getattr(parent, field)(index) for index in range(count))

    def table(self, parent: Any, field: str, index: int) -> Any:
        """One table of a vector; ModelFormatError where there is none at `index`."""
        count = getattr(parent, f"{field}Length")()
        if not 0 <= index < count:
            raise ModelFormatError(f"{self.where}: refers to number {index} of {count} {field}")
        return getattr(parent, field)(index)

    def numbers(self, parent: Any, field: str) -> NDArray[Any]:
        """A vector of numbers as a view of the file, empty where it is absent."""
        values = getattr(parent, f"{field}AsNumpy")()
        if isinstance(values, int):
            return np.empty(0, np.int32)
        self.charge(values.nbytes)
        found: NDArray[Any] = values.view(values.dtype.newbyteorder("<"))
        return found

    def integers(self, parent: Any, field: str) -> tuple[int, ...]:
        """A vector of integers, empty where it is absent."""
        return tuple(self.numbers(parent, field).tolist())

    def text(self, value: bytes | None) -> str:
        """A string of the file, '' where it is absent; bytes that are no UTF-8 are escaped."""
        self.charge(len(value or b""))
        return (value or b"").decode(errors="backslashreplace")
