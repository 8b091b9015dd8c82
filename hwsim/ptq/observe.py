"""What a float graph computes on calibration samples: a sample of every tensor's values, and their ranges."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.simulate import compile
from hwsim.simulate.inputs import Inputs, SampleBatch

Reals = NDArray[np.float64]
CHUNK = 32
KEPT = 1 << 17
"""Values kept of each tensor for ranges that need more than the ends; drawn evenly over the samples, seeded."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Values of one tensor.

    Parameters
    ----------
    low, high : the smallest and largest of all values
    values : float64, at most `KEPT` of them
    """

    low: float
    high: float
    values: Reals


def observe(
    graph: Graph, x: Inputs | SampleBatch, *, seed: int = 0, progress: Callable[[int], None] | None = None
) -> dict[int, Seen]:
    """What every input and computed float tensor of `graph` held on the samples `x`, by index.

    Raises
    ------
    InputError : where `x` has no samples, or values that are not finite come up
    """
    program, batch = compile(graph, "float"), x if isinstance(x, SampleBatch) else SampleBatch.of(graph, x)
    if batch.samples < 1:
        raise InputError("calibration data has no samples; give at least one")
    generator, parts = np.random.default_rng(seed), dict[int, list[Reals]]()
    ends: dict[int, tuple[float, float]] = {}
    for start in range(0, batch.samples, CHUNK):
        stop = min(start + CHUNK, batch.samples)
        chunk = {index: value[start:stop] for index, value in batch.values.items()}
        for index, value in program.run_samples(chunk, stop - start, keep_tensors=True).items():
            if value.dtype != np.float32:
                continue
            flat = value.reshape(-1)
            if not np.isfinite(flat).all():
                name = graph.tensors[index].name
                raise InputError(f"tensor {name!r} is not finite on samples {start} to {stop - 1}; check their range")
            share = max(1, KEPT * (stop - start) // batch.samples)
            kept = flat if flat.size <= share else flat[generator.integers(0, flat.size, share)]
            parts.setdefault(index, []).append(kept.astype(np.float64))
            low, high = ends.get(index, (np.inf, -np.inf))
            ends[index] = min(low, float(flat.min(initial=np.inf))), max(high, float(flat.max(initial=-np.inf)))
        if progress is not None:
            progress(stop - start)
    return {index: Seen(*ends[index], np.concatenate(values)) for index, values in parts.items()}
