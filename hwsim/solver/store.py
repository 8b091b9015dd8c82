"""Measured numbers on disk, in the user's cache: one small JSON file for everything that depends on the same things."""

import json
import os
from contextlib import suppress
from hashlib import sha256
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from hwsim._version import __version__
from hwsim.graph import Graph
from hwsim.solver.measures import Judge

LARGEST_BYTES = 16 << 20


class Store:
    """Numbers by name in a file; one that is missing, broken or cannot be written is as good as an empty one."""

    def __init__(self, folder: Path, *parts: bytes) -> None:
        digest = sha256()
        for part in (__version__.encode(), *parts):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        self.path = folder / f"{digest.hexdigest()}.json"

    def read(self) -> dict[str, float]:
        """What the file holds."""
        with suppress(OSError, ValueError, RecursionError):
            if self.path.stat().st_size <= LARGEST_BYTES:
                return _numbers(json.loads(self.path.read_text(encoding="utf-8")))
        return {}

    def write(self, numbers: dict[str, float]) -> None:
        """Put `numbers` into the file, as a whole or not at all."""
        temporary = self.path.with_name(f".{uuid4().hex}.part")
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_text(json.dumps(numbers), encoding="utf-8")
            temporary.replace(self.path)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def default_folder() -> Path:
    """Where measured sensitivities lie: XDG_CACHE_HOME, or .cache in the user's home."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "hwsim" / "sensitivities"


def sensitivity_store(graph: Graph, judge: Judge, ranges: str, folder: Path | None = None) -> Store:
    """The store of one network on one set of samples: a change of either, or of how it is measured, is another file."""
    samples = [part for value in judge.batch.values.values() for part in _array(value)]
    how = f"{judge.measure} {judge.engine} {ranges}".encode()
    return Store(folder or default_folder(), *_graph(graph), *samples, *_array(judge.classes), how)


def _graph(graph: Graph) -> list[bytes]:
    parts = [repr((graph.inputs, graph.outputs)).encode()]
    for node in graph.nodes:
        options = sorted(node.attributes.items())
        parts.append(repr((node.op, node.inputs, node.outputs, options)).encode())
    for tensor in graph.tensors:
        parts.append(repr((tensor.shape, tensor.dtype, str(tensor.format))).encode())
        parts += [] if tensor.data is None else _array(tensor.data)
    return parts


def _array(value: np.ndarray[Any, Any]) -> list[bytes]:
    return [repr((value.dtype.str, value.shape)).encode(), np.ascontiguousarray(value).tobytes()]


def _numbers(read: Any) -> dict[str, float]:
    """`read` where it is an object of finite numbers, else nothing."""
    if not isinstance(read, dict):
        return {}
    numbers = {k: float(v) for k, v in read.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    return {name: number for name, number in numbers.items() if isfinite(number)}
