"""Recorded tensors as a reference: what came off a chip, or another simulator."""

from collections.abc import Callable, Mapping
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
    if isinstance(against, Mapping):
        return against, "recorded arrays"
    path = Path(against)
    if path.suffix != ".npz":
        raise InputError(unknown("engine", str(against), engines()) + ", or a .npz file with recorded tensors")
    return read_arrays(path), path.name


def by_tensor(graph: Graph, recorded: Mapping[str, Array]) -> dict[int, Array]:
    """Recorded arrays by tensor index; 'input', 'output', 'input_0', ... also name the graph's own by position."""
    names = {tensor.name: index for index, tensor in enumerate(graph.tensors)}
    for kind, indices in (("input", graph.inputs), ("output", graph.outputs)):
        for position, index in enumerate(indices):
            names.setdefault(f"{kind}_{position}", index)
        if indices:
            names.setdefault(kind, indices[0])
    for name in recorded:
        if name not in names:
            raise InputError(unknown("tensor", name, names))
    return {names[name]: np.asarray(value) for name, value in recorded.items()}


def recorded_inputs(graph: Graph, named: Mapping[int, Array]) -> Inputs:
    missing = [graph.tensors[i].name for i in graph.inputs if i not in named]
    if missing:
        raise InputError(f"the recording has no input {missing[0]!r}, and no input was given")
    return [named[i] for i in graph.inputs]


def recorded_source(graph: Graph, named: Mapping[int, Array], batch: SampleBatch) -> Source:
    grouped = {index: _as_samples(graph.tensors[index], value, batch.samples) for index, value in named.items()}
    position = 0

    def source(inputs: dict[int, Array]) -> Mapping[int, Array]:
        nonlocal position
        start = position
        position += next(iter(inputs.values())).shape[0]
        return {index: value[start:position] for index, value in grouped.items()}

    return source


def _as_samples(tensor: Tensor, value: Array, samples: int) -> Array:
    if value.size != samples * int(np.prod(tensor.shape)):
        raise InputError(
            f"recorded {tensor.name!r} has shape {list(value.shape)}; expected {samples} times {list(tensor.shape)}"
        )
    return value.reshape(samples, *tensor.shape)
