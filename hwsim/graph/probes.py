"""Inputs to try a graph on: random codes, and the extremes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import CapacityError
from hwsim.graph.formats import Affine, Levels
from hwsim.graph.graph import Graph, Tensor

Array = NDArray[Any]
LARGEST_BYTES = 4 << 30


def random_inputs(graph: Graph, samples: int, seed: int = 0) -> list[Array]:
    """Uniform random values for every input: all codes of an integer dtype, [-1, 1) for floats.

    Returns arrays of shape (samples * declared batch, ...), in input order. CapacityError where they need over 4 GiB.
    """
    needed = samples * sum(graph.tensors[i].size_bytes for i in graph.inputs)
    if needed > LARGEST_BYTES:
        raise CapacityError(f"{samples} random samples need {needed} bytes; the limit is {LARGEST_BYTES}: use fewer")
    generator = np.random.default_rng(seed)
    return [_random(graph.tensors[i], samples, generator) for i in graph.inputs]


def probe_inputs(graph: Graph, samples: int, seed: int = 0) -> list[Array]:
    """`samples` random samples, then one all-minimum, one all-maximum and one all-zero-point sample."""
    randoms = random_inputs(graph, samples, seed)
    probes = []
    for array, index in zip(randoms, graph.inputs, strict=True):
        tensor = graph.tensors[index]
        extremes = [np.full(tensor.shape, value, tensor.dtype) for value in _extremes(tensor)]
        probes.append(np.concatenate([array, *extremes]) if tensor.shape else array)
    return probes


def _random(tensor: Tensor, samples: int, generator: np.random.Generator) -> Array:
    shape = (samples * tensor.shape[0], *tensor.shape[1:]) if tensor.shape else ()
    kind = np.dtype(tensor.dtype)
    if kind.kind in "iu":
        low, high = _ends(tensor)
        return np.asarray(generator.integers(low, high, shape, kind, endpoint=True))
    if kind.kind == "b":
        return np.asarray(generator.integers(0, 2, shape).astype(kind))
    return np.asarray(generator.uniform(-1, 1, shape).astype(kind))


def _ends(tensor: Tensor) -> tuple[int, int]:
    """The smallest and largest code."""
    if isinstance(tensor.format, Levels):
        return 0, tensor.format.table.shape[1] - 1
    info = np.iinfo(tensor.dtype)
    return int(info.min), int(info.max)


def _extremes(tensor: Tensor) -> tuple[float, float, float]:
    kind = np.dtype(tensor.dtype)
    if kind.kind in "iu":
        return *_ends(tensor), tensor.zero_point if isinstance(tensor.format, Affine) else 0
    return (0, 1, 0) if kind.kind == "b" else (-1.0, 1.0, 0.0)
