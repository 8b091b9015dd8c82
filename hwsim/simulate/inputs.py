"""What the user hands in, seen as samples of the shapes that the file declares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim.errors import InputError, unknown
from hwsim.graph import Graph, Tensor

Array = NDArray[Any]
Inputs = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]


@dataclass(frozen=True, slots=True)
class SampleBatch:
    """Input arrays with the batch that the file declares seen as one sample: (samples, *declared shape).

    Rows that do not fill the last sample are made up by repeating the last one, and cut off again: `rows` says how many
    there were, by the batch that the file declares.
    """

    graph: Graph
    values: dict[int, Array]
    samples: int
    rows: dict[int, int]

    @classmethod
    def of(cls, graph: Graph, x: Inputs) -> "SampleBatch":
        """Match `x` (an array, a list in input order, or {name: array}) with the graph's inputs; InputError if it does
        not fit.
        """
        if isinstance(x, np.ndarray) and len(graph.inputs) == 1:
            tensor, index = graph.tensors[graph.inputs[0]], graph.inputs[0]
            if x.dtype == tensor.dtype and x.ndim > 1 and x.shape[1:] == tensor.shape[1:]:
                rows, batch = x.shape[0], tensor.shape[0]
                if rows and batch and rows % batch == 0:
                    return cls(graph, {index: x.reshape(rows // batch, *tensor.shape)}, rows // batch, {batch: rows})
        named = _by_input(graph, x)
        grouped = {index: _grouped(graph.tensors[index], value) for index, value in named.items()}
        counts = {index: value.shape[0] for index, (value, _) in grouped.items()}
        samples = max(counts.values(), default=1)
        for index, count in counts.items():
            if count not in (1, samples):
                raise InputError(
                    f"input {graph.tensors[index].name!r} has {count} samples; other inputs have {samples}"
                )
        values = {i: np.broadcast_to(value, (samples, *value.shape[1:])) for i, (value, _) in grouped.items()}
        rows = _rows_by_batch(graph, grouped)
        return cls(graph, values, samples, {n: count for n, count in rows.items() if -(-count // n) == samples})

    def arrays(self, part: slice) -> dict[int, Array]:
        """The samples in `part`, contiguous."""
        return {index: np.ascontiguousarray(value[part]) for index, value in self.values.items()}

    def flatten(self, value: Array) -> Array:
        """(samples, batch, ...) as (samples * batch, ...) without the rows made up to fill the last sample."""
        if value.ndim < 2:
            return value
        flat = value.reshape(value.shape[0] * value.shape[1], *value.shape[2:])
        return flat[: self.rows.get(value.shape[1], len(flat))]


def _by_input(graph: Graph, x: Inputs) -> dict[int, Array]:
    names = {graph.tensors[i].name: i for i in graph.inputs}
    if isinstance(x, Mapping):
        for name in x:
            if name not in names:
                raise InputError(unknown("input", str(name), names))
        given = {names[name]: np.asarray(value) for name, value in x.items()}
    elif isinstance(x, (list, tuple)):
        if len(x) != len(graph.inputs):
            raise InputError(f"got {len(x)} inputs; the model has {len(graph.inputs)}: {', '.join(names)}")
        given = {i: np.asarray(value) for i, value in zip(graph.inputs, x, strict=True)}
    else:
        if len(graph.inputs) != 1:
            raise InputError(f"got one array; the model has {len(graph.inputs)} inputs: {', '.join(names)}")
        given = {graph.inputs[0]: np.asarray(x)}
    for name, index in names.items():
        if index not in given:
            raise InputError(f"input {name!r} is missing; the model has {', '.join(names)}")
    return given


def _grouped(tensor: Tensor, value: Array) -> tuple[Array, int]:
    """`value` as (samples, *declared shape), and how many rows it had."""
    if value.dtype != np.dtype(tensor.dtype):
        raise InputError(f"input {tensor.name!r} is {value.dtype}; expected {tensor.dtype}")
    if not tensor.shape:
        if value.shape != ():
            raise InputError(f"input {tensor.name!r} has shape {list(value.shape)}; expected a scalar")
        return value[None], 1
    batch, rest = tensor.shape[0], tensor.shape[1:]
    if value.ndim != len(tensor.shape) or value.shape[1:] != rest:
        expected = ", ".join(["batch", *map(str, rest)])
        raise InputError(f"input {tensor.name!r} has shape {list(value.shape)}; expected [{expected}]")
    rows = value.shape[0]
    if rows == 0 or batch == 0:
        raise InputError(f"input {tensor.name!r} has shape {list(value.shape)}; expected at least one row")
    missing = -rows % batch
    filled = np.concatenate([value, np.repeat(value[-1:], missing, axis=0)]) if missing else value
    return filled.reshape(len(filled) // batch, *tensor.shape), rows


def _rows_by_batch(graph: Graph, grouped: Mapping[int, tuple[Array, int]]) -> dict[int, int]:
    """How many rows the inputs of each declared batch have; one row, or one whole sample, is shared by all."""
    rows: dict[int, int] = {}
    for value, count in grouped.values():
        if value.ndim > 1:
            rows[value.shape[1]] = max(count, rows.get(value.shape[1], 0))
    for index, (value, count) in grouped.items():
        if value.ndim > 1 and count not in (1, value.shape[1], rows[value.shape[1]]):
            name, expected = graph.tensors[index].name, rows[value.shape[1]]
            raise InputError(f"input {name!r} has {count} rows; other inputs have {expected}")
    return rows
