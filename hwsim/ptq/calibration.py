"""Data that the user hands in: checked, and brought to the float32 that a float network reads."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.simulate import Inputs, SampleBatch

LARGEST = 1e15
"""Beyond it the squares of float32 sums overflow; no network reads such values."""
FARTHEST = 8.0
"""How many times larger labelled data may be than calibration data: beyond it one of both was not scaled."""


def check_float(graph: Graph) -> None:
    """InputError where `graph` is not a float network."""
    if not any(graph.tensors[i].dtype == "float32" for i in graph.inputs):
        dtypes = ", ".join(graph.tensors[i].dtype for i in graph.inputs)
        raise InputError(f"graph {graph.name!r} reads {dtypes or 'nothing'}; quantize a float32 network")


def calibration_batch(graph: Graph, x: Inputs, what: str = "calibration data") -> SampleBatch:
    """The samples `x` for `graph`.

    Integers and wider floats are taken as the numbers they are. InputError where shapes or dtypes do not fit, where
    values are not finite, or where an input is the same number everywhere.
    """
    if isinstance(x, Mapping):
        x = {name: _real(graph, np.asarray(value), what) for name, value in x.items()}
    elif isinstance(x, (list, tuple)):
        x = [_real(graph, np.asarray(value), what) for value in x]
    else:
        x = _real(graph, np.asarray(x), what)
    batch = SampleBatch.of(graph, x)
    for index, value in batch.values.items():
        name = graph.tensors[index].name
        if not np.isfinite(value).all():
            raise InputError(f"{what}: input {name!r} holds values that are not finite; remove these samples")
        if value.size and (largest := float(np.abs(value).max())) > LARGEST:
            raise InputError(f"{what}: input {name!r} reaches {largest:g}; expected at most {LARGEST:g}, scale it")
        if value.size > 1 and value.min() == value.max():
            raise InputError(f"{what}: input {name!r} is {value.min():g} everywhere; ranges need samples that vary")
    return batch


def check_alike(graph: Graph, batch: SampleBatch, labelled: SampleBatch) -> None:
    """InputError where labelled data have quite another range than calibration data: one of them was not scaled."""
    for index, value in batch.values.items():
        a, b = (max(float(np.abs(v).max()), 1e-30) for v in (value, labelled.values[index]))
        if max(a, b) / min(a, b) > FARTHEST:
            raise InputError(
                f"input {graph.tensors[index].name!r} reaches {a:g} in the calibration data and {b:g} in the labelled "
                "data; scale both as the network was trained"
            )


def _real(graph: Graph, value: NDArray[Any], what: str) -> NDArray[Any]:
    wanted = {graph.tensors[i].dtype for i in graph.inputs}
    if value.dtype.name in wanted and value.dtype != np.float32:
        return value
    if value.dtype.kind not in "fiu":
        raise InputError(f"{what} are {value.dtype}; expected numbers that float32 can hold")
    with np.errstate(over="ignore"):
        return value.astype(np.float32)
