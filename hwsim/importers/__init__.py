"""Importers: the bytes of a model file to a Graph. One file format, one file; `load` picks by content, else by name."""

import os
from pathlib import Path

from hwsim.errors import InputError, ModelFormatError
from hwsim.graph import Graph
from hwsim.graph.file import MAGICS

__all__ = ["load", "load_bytes"]

KNOWN = "a .tflite file ('TFL3' at byte 4) or a .hwsim file"


def load(path: str | os.PathLike[str]) -> Graph:
    """The graph in a model file.

    Parameters
    ----------
    path : a .tflite or .hwsim file

    Raises
    ------
    InputError
        If there is no such file, or it cannot be read, or it is empty.
    ModelFormatError
        If its bytes are not a well-formed model.
    UnsupportedError
        If it holds something that hwsim cannot represent.
    GraphError
        If the graph in it contradicts itself.
    """
    file = Path(path)
    return load_bytes(_bytes(file), str(file))


def load_bytes(data: bytes | bytearray | memoryview, name: str) -> Graph:
    """The graph in the bytes of a model file, as `load` does.

    Parameters
    ----------
    data : the whole file
    name : the file, for messages and, where the content does not tell, for its kind
    """
    data = bytes(data)
    if data[4:8] == b"TFL3" or (name.endswith(".tflite") and not data.startswith(MAGICS)):
        from hwsim.importers.tflite import read as read_tflite

        return read_tflite(data, name)
    if data.startswith(MAGICS) or name.endswith(".hwsim"):
        from hwsim.graph.file import read

        return read(data, name)
    raise ModelFormatError(f"{name}: begins with {data[:8]!r}; expected {KNOWN}")


def _bytes(file: Path) -> bytes:
    try:
        if file.is_dir():
            raise InputError(f"{file}: is a folder; expected a model file, {KNOWN}")
        if not file.exists():
            raise InputError(f"{file}: no such file; expected {KNOWN}")
        if not file.is_file():
            raise InputError(f"{file}: is not an ordinary file; expected {KNOWN}")
        data = file.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot read it ({error}); expected {KNOWN}") from error
    if not data:
        raise InputError(f"{file}: is empty; expected {KNOWN}")
    return data
