"""Run a graph on arrays with an engine's arithmetic."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hwsim._rooms import callable_room
from hwsim.engines import Engine, Rule
from hwsim.engines import engine as engine_called
from hwsim.errors import CapacityError, InputError, UnsupportedError, unknown
from hwsim.graph import Graph, NodeView, Tensor
from hwsim.ops import operator
from hwsim.ops._base import Step

Array = NDArray[Any]
Inputs = ArrayLike | Sequence[ArrayLike] | Mapping[str, ArrayLike]

CHUNK_BYTES = 64 << 20
SAMPLE_BYTES_LIMIT = 4 << 30


@dataclass(frozen=True, slots=True)
class Run:
    """What a simulation gave.

    Parameters
    ----------
    outputs : arrays in output order, model dtypes, batched along axis 0
    tensors : every computed tensor and input by name, where they were kept
    engine : whose arithmetic
    """

    outputs: list[Array]
    tensors: dict[str, Array]
    engine: str


@dataclass(frozen=True, slots=True)
class BoundNode:
    """A node with its rule and what computes it."""

    view: NodeView
    rule: Rule
    step: Step


@dataclass(frozen=True, slots=True)
class Program:
    """A graph prepared once for an engine: weights packed, tables built, shapes checked. Call it on arrays."""

    graph: Graph
    engine: Engine
    threads: int
    nodes: tuple[BoundNode, ...]
    last_use: Mapping[int, int] = field(repr=False)
    sample_bytes: int

    def __call__(self, x: Inputs) -> list[Array]:
        """Outputs for `x`, as `run` gives them."""
        return self.run(x).outputs

    def run(self, x: Inputs, *, keep_tensors: bool = False, progress: Callable[[int], None] | None = None) -> Run:
        """Run on `x`, streaming it in chunks; `progress` hears how many samples are done."""
        batch = SampleBatch.of(self.graph, x)
        width = max(1, min(CHUNK_BYTES // max(self.sample_bytes, 1), -(-batch.samples // self.threads)))
        kept = self.computed() if keep_tensors else set(self.graph.outputs)
        stores = {i: np.empty((batch.samples, *self._tensor(i).shape), self._tensor(i).dtype) for i in kept}

        def run_chunk(start: int) -> int:
            part = slice(start, min(start + width, batch.samples))
            for index, value in self.run_samples(batch.arrays(part), kept).items():
                stores[index][part] = value
            return part.stop - part.start

        with ThreadPoolExecutor(self.threads) as pool:
            for count in pool.map(run_chunk, range(0, batch.samples, width)):
                if progress is not None:
                    progress(count)
        return self._result(batch, stores, keep_tensors)

    def computed(self) -> set[int]:
        """Inputs, outputs and everything between, by tensor index."""
        return {i for node in self.nodes for i in node.view.node.outputs} | {*self.graph.inputs, *self.graph.outputs}

    def _tensor(self, index: int) -> Tensor:
        return self.graph.tensors[index]

    def run_samples(self, inputs: Mapping[int, Array], kept: Collection[int]) -> dict[int, Array]:
        """Tensors in `kept` by index, each (samples, *declared shape); `inputs` likewise."""
        values = dict(inputs)
        samples = next(iter(values.values())).shape[0] if values else 1
        for position, node in enumerate(self.nodes):
            arguments = [self.value(i, values, samples) for i in node.view.node.inputs]
            outputs = [np.empty((samples, *t.shape), t.dtype) for t in node.view.outputs]
            node.step(arguments, outputs)
            values.update(zip(node.view.node.outputs, outputs, strict=True))
            for index in [i for i in values if i not in kept and self.last_use.get(i, -1) <= position]:
                del values[index]
        return {index: self.value(index, values, samples) for index in kept}

    def value(self, index: int, values: Mapping[int, Array], samples: int) -> Array:
        """A tensor out of `values`, or the constant repeated for every sample; empty where the input is absent."""
        if index in values:
            return values[index]
        if index < 0:
            return np.empty(0)
        data = self.graph.tensors[index].data
        assert data is not None
        return np.broadcast_to(data, (samples, *data.shape))

    def _result(self, batch: "SampleBatch", stores: dict[int, Array], keep_tensors: bool) -> Run:
        flat = {index: batch.flatten(value) for index, value in stores.items()}
        names = {self._tensor(i).name: value for i, value in flat.items()} if keep_tensors else {}
        return Run([flat[i] for i in self.graph.outputs], names, self.engine.name)


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


def compile(graph: Graph, engine: str | Engine, threads: int = 1) -> Program:
    """Prepare `graph` for `engine`: every node checked, its rule chosen, its weights packed.

    Raises UnsupportedError, ShapeError or GraphError naming the node, CapacityError where one sample needs over 4 GiB.
    """
    profile = engine_called(engine)
    if threads < 1:
        raise InputError(f"threads is {threads}; expected at least 1")
    peak, last_use = _liveness(graph)
    if peak > SAMPLE_BYTES_LIMIT:
        raise CapacityError(
            f"graph {graph.name!r} needs {peak} bytes for one sample; the limit is {SAMPLE_BYTES_LIMIT}"
        )
    nodes = tuple(_bind(NodeView(graph, node), profile) for node in graph.nodes)
    return Program(graph, profile, threads, nodes, last_use, peak)


def simulate(
    graph: Graph,
    x: Inputs,
    engine: str | Engine,
    *,
    keep_tensors: bool = False,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Run:
    """Run `graph` on `x` exactly as `engine` would.

    Parameters
    ----------
    x : array, list of arrays in input order, or {name: array}; model dtypes; batched along axis 0 whatever batch
        the file declares
    engine : a name from `hwsim.engines()`
    keep_tensors : keep every intermediate in `Run.tensors`
    threads : samples are spread over this many threads
    progress : called with the number of samples done, again and again
    """
    return compile(graph, engine, threads).run(x, keep_tensors=keep_tensors, progress=progress)


def _bind(view: NodeView, profile: Engine) -> BoundNode:
    op = operator(view)
    for tensor in (*view.inputs, *view.outputs):
        if tensor is not None and tensor.is_variable:
            raise UnsupportedError(f"{view.label}: {tensor.name!r} is state that outlives a run; hwsim keeps none")
    rule = op.rule(profile, view)
    op.check(view)
    return BoundNode(view, rule, op.bind(view, rule))


def _liveness(graph: Graph) -> tuple[int, dict[int, int]]:
    """The most bytes of computed tensors alive at once, and each tensor's last reader."""
    last_use = dict.fromkeys(graph.inputs, -1)
    for position, node in enumerate(graph.nodes):
        last_use.update(dict.fromkeys((*node.inputs, *node.outputs), position))
    last_use.update(dict.fromkeys(graph.outputs, len(graph.nodes)))
    alive = {index: graph.tensors[index].size_bytes for index in graph.inputs}
    peak = sum(alive.values())
    for position, node in enumerate(graph.nodes):
        alive.update({index: graph.tensors[index].size_bytes for index in node.outputs})
        peak = max(peak, sum(alive.values()))
        alive = {index: size for index, size in alive.items() if last_use[index] > position}
    return peak, last_use


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


callable_room(__name__, simulate)
