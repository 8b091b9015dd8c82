"""Recorded tensors as a reference: what came off a chip, or another simulator."""

from collections.abc import Callable, Mapping
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import engines
from hwsim.errors import InputError, unknown
from hwsim.graph import Graph, Tensor
from hwsim.importers.arrays import read_arrays
from hwsim.simulate import Inputs, SampleBatch

Array = NDArray[Any]
Source = Callable[[dict[int, Array]], Mapping[int, Array]]
"""Gives the reference's tensors by index, each (samples, *shape), for inputs of the same form."""


def open_recording(against: str | PathLike[str] | Mapping[str, Array]) -> tuple[Mapping[str, Array], str]:
    """Arrays by name, and what to call them; InputError where `against` is no .npz file."""
    if isinstance(against, Mapping):
        return against, "recorded arrays"
    path = Path(against)
    if path.suffix != ".npz" and not isinstance(against, str):
        raise InputError(f"{path}: expected a .npz file with recorded tensors")
    if path.suffix != ".npz":
        raise InputError(unknown("engine or .npz file", str(against), engines()))
    return read_arrays(path), path.name


def by_tensor(graph: Graph, recorded: Mapping[str, Array]) -> dict[int, Array]:
    """Recorded arrays by tensor index, under any of `tensor_names`."""
    names = tensor_names(graph)
    found: dict[int, Array] = {}
    for name, value in recorded.items():
        if name not in names:
            raise InputError(unknown("tensor", name, names))
        if names[name] in found:
            raise InputError(f"the recording has {graph.tensors[names[name]].name!r} twice, once as {name!r}")
        found[names[name]] = np.asarray(value)
    return found


def tensor_names(graph: Graph) -> dict[str, int]:
    """Tensor indices by name; 'input', 'output', 'input_0', ... also name the graph's own by position."""
    names = {tensor.name: index for index, tensor in enumerate(graph.tensors)}
    for kind, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for position, index in enumerate(indices):
            names.setdefault(f"{kind}_{position}", index)
        if indices:
            names.setdefault(kind, indices[0])
    return names


def read_inputs(graph: Graph, file: Path) -> list[Array]:
    """The graph's inputs in order, out of a file that may hold more; an only array is an only input, whatever its name.

    InputError where one is missing, or is there under two names.
    """
    arrays = read_arrays(file)
    if len(graph.inputs) == 1 and len(arrays) == 1:
        return list(arrays.values())
    names, found = tensor_names(graph), dict[int, tuple[str, Array]]()
    for name, value in arrays.items():
        index = names.get(name, -1)
        if index in found:
            raise InputError(f"{file}: has {graph.tensors[index].name!r} twice, as {found[index][0]!r} and {name!r}")
        if index in graph.inputs:
            found[index] = name, value
    for index in graph.inputs:
        if index not in found:
            raise InputError(f"{file}: has no array {graph.tensors[index].name!r}; it has {', '.join(arrays)}")
    return [found[index][1] for index in graph.inputs]


def recorded_inputs(graph: Graph, named: Mapping[int, Array]) -> Inputs:
    """The graph's inputs out of the recording; InputError where one is missing."""
    missing = [graph.tensors[i].name for i in graph.inputs if i not in named]
    if missing:
        raise InputError(f"the recording has no input {missing[0]!r}, and no input was given")
    return [named[i] for i in graph.inputs]


def recorded_source(graph: Graph, named: Mapping[int, Array], batch: SampleBatch) -> Source:
    """The recorded tensors of the next samples, whatever the inputs; InputError where a size or dtype does not fit."""
    computed = {i: value for i, value in named.items() if i not in batch.values and not graph.tensors[i].is_constant}
    grouped = {i: _as_samples(graph.tensors[i], value, batch) for i, value in computed.items()}
    position = 0

    def source(inputs: dict[int, Array]) -> Mapping[int, Array]:
        nonlocal position
        start = position
        position += next(iter(inputs.values()), np.empty(1)).shape[0]
        return {index: value[start:position] for index, value in grouped.items()}

    return source


def _as_samples(tensor: Tensor, value: Array, batch: SampleBatch) -> Array:
    rows = batch.rows.get(tensor.shape[0]) if tensor.shape else None
    if value.shape == (rows, *tensor.shape[1:]):
        value = np.concatenate([value, np.repeat(value[-1:], -len(value) % tensor.shape[0], axis=0)])
    if value.size != batch.samples * prod(tensor.shape):
        raise InputError(
            f"recorded {tensor.name!r} has shape {list(value.shape)}; "
            f"expected {batch.samples} times {list(tensor.shape)}"
        )
    return as_codes(f"recorded {tensor.name!r}", tensor.dtype, value).reshape(batch.samples, *tensor.shape)


def as_codes(label: str, dtype: str, value: Array) -> Array:
    """The same values in `dtype`: what reads text or C output often makes them int64 or float64."""
    if value.dtype.kind in "biuf":
        with np.errstate(invalid="ignore", over="ignore"):
            codes = value.astype(dtype)
        if np.array_equal(codes, value, equal_nan=value.dtype.kind == "f"):
            return codes
    raise InputError(f"{label} is {value.dtype} and has values that {dtype} does not; expected {dtype}")
