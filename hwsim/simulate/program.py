"""A graph prepared for an engine: rules chosen, weights packed, tensors placed, every node one short call."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from hwsim.engines import Engine, Rule
from hwsim.engines import engine as engine_called
from hwsim.errors import CapacityError, InputError, UnsupportedError
from hwsim.graph import Graph, NodeView
from hwsim.ops import _tables, operator
from hwsim.ops._accumulating import Accumulating
from hwsim.ops._base import Arrays, Op, Step, code_limits
from hwsim.ops._fixed import SLACK_BYTES, fix, joined, scratch
from hwsim.simulate.arena import plan
from hwsim.simulate.inputs import Array, Inputs, SampleBatch

CHUNK_BYTES = 256 << 10
"""Samples are run together while their tensors fit in this much: half of a common second-level cache."""

CHUNK_SAMPLES = 32
THREAD_MACS = 1 << 25
"""Less work than this, about a tenth of a millisecond, costs more to hand to threads than it takes."""

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


class Session:
    """An arena for a number of samples, and every node bound to its places. Not for two threads at once."""

    def __init__(self, graph: Graph, nodes: tuple[BoundNode, ...], samples: int, keep: bool) -> None:
        arena = plan(graph, samples=samples, alignment=SLACK_BYTES, keep=keep)
        memory = scratch(arena.size_bytes)
        self.samples = samples
        self.values: dict[int, Array] = {}
        for index, place in arena.places.items():
            tensor = graph.tensors[index]
            part = memory[place.offset : place.offset + tensor.size_bytes * samples]
            self.values[index] = part.view(tensor.dtype).reshape(samples, *tensor.shape)
        steps = [
            fix(
                bound.step,
                [value_of(graph, i, self.values, samples) for i in bound.view.node.inputs],
                [self.values[i] for i in bound.view.node.outputs],
            )
            for bound in nodes
        ]
        self.steps = joined(steps)

    def run(self, inputs: Mapping[int, Array], part: slice) -> None:
        """Compute the samples of `inputs` in `part`; results lie in `values`."""
        for index, value in inputs.items():
            self.values[index][...] = value[part]
        for step in self.steps:
            step()


@dataclass(frozen=True, slots=True)
class Program:
    """A graph prepared once for an engine. Call it on arrays.

    Parameters
    ----------
    threads : samples are spread over this many threads
    nodes : in execution order, with the rule of each
    arena_bytes : memory for the tensors of one sample, as a target with TFLM's planner needs it
    macs : multiply-accumulates of one sample, 0 where unknown
    """

    graph: Graph
    engine: Engine
    threads: int
    nodes: tuple[BoundNode, ...]
    arena_bytes: int
    macs: int = 0
    _idle: dict[tuple[int, bool], list[Session]] = field(default_factory=dict, repr=False)
    _pool: list[ThreadPoolExecutor] = field(default_factory=list, repr=False)

    def __call__(self, x: Inputs) -> list[Array]:
        """Outputs for `x`, as `run` gives them."""
        return self.run(x).outputs

    def run(self, x: Inputs, *, keep_tensors: bool = False, progress: Callable[[int], None] | None = None) -> Run:
        """Run on `x`, streaming it in chunks; `progress` hears how many samples are done."""
        batch = SampleBatch.of(self.graph, x)
        values = self.run_samples(batch.values, batch.samples, keep_tensors=keep_tensors, progress=progress)
        flat = {index: batch.flatten(value) for index, value in values.items()}
        names = {self.graph.tensors[i].name: value for i, value in flat.items()} if keep_tensors else {}
        return Run([flat[i] for i in self.graph.outputs], names, self.engine.name)

    def run_samples(
        self,
        inputs: Mapping[int, Array],
        samples: int,
        *,
        keep_tensors: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> dict[int, Array]:
        """Outputs, or with `keep_tensors` every input and computed tensor, by index.

        Inputs and results have shape (samples, *declared shape).
        """
        kept = self.computed() if keep_tensors else self.graph.outputs
        width = self._chunk(samples)
        if width == samples:
            results = self._run_chunk(inputs, slice(0, samples), kept, keep_tensors)
            if progress is not None:
                progress(samples)
            return results
        stores = {i: np.empty((samples, *self.graph.tensors[i].shape), self.graph.tensors[i].dtype) for i in kept}

        def run_chunk(start: int) -> None:
            part = slice(min(start, samples - width), min(start + width, samples))
            for index, value in self._run_chunk(inputs, part, kept, keep_tensors).items():
                stores[index][part] = value

        starts = range(0, samples, width)
        for start, _ in zip(starts, self._threads(samples).map(run_chunk, starts), strict=True):
            if progress is not None:
                progress(min(width, samples - start))
        return stores

    def _run_chunk(
        self, inputs: Mapping[int, Array], part: slice, kept: Collection[int], keep: bool
    ) -> dict[int, Array]:
        """Copies of the tensors in `kept` for the samples in `part`."""
        samples = part.stop - part.start
        idle = self._idle.setdefault((samples, keep), [])
        try:
            session = idle.pop()
        except IndexError:
            session = Session(self.graph, self.nodes, samples, keep)
        session.run(inputs, part)
        results = {index: value_of(self.graph, index, session.values, samples).copy() for index in kept}
        idle.append(session)
        return results

    def computed(self) -> set[int]:
        """Inputs, outputs and everything between, by tensor index."""
        return {i for node in self.nodes for i in node.view.node.outputs} | {*self.graph.inputs, *self.graph.outputs}

    def _chunk(self, samples: int) -> int:
        """How many samples to run together: as many as fit the cache, in chunks of one size."""
        most = max(
            1, min(CHUNK_SAMPLES, CHUNK_BYTES // max(self.arena_bytes, 1), -(-samples // self._workers(samples)))
        )
        return -(-samples // -(-samples // most))

    def _workers(self, samples: int) -> int:
        """How many threads this much work is worth."""
        return 1 if 0 < self.macs * samples < THREAD_MACS else self.threads

    def _threads(self, samples: int) -> "_Executor":
        if self._workers(samples) == 1:
            return _Inline()
        if not self._pool:
            self._pool.append(ThreadPoolExecutor(self.threads))
        return self._pool[0]


class _Executor(Protocol):
    """What runs chunks: a thread pool, or nobody but this thread."""

    def map(self, function: Callable[[int], None], starts: Iterable[int], /) -> Iterator[None]:
        """Call `function` on each of `starts`, results in order."""


class _Inline:
    def map(self, function: Callable[[int], None], starts: Iterable[int], /) -> Iterator[None]:
        return map(function, starts)


def value_of(graph: Graph, index: int, values: Mapping[int, Array], samples: int) -> Array:
    """A tensor out of `values`, or the constant repeated for every sample; empty where the input is absent."""
    if index in values:
        return values[index]
    if index < 0:
        return np.empty(0)
    data = graph.tensors[index].data
    assert data is not None
    return np.broadcast_to(data, (samples, *data.shape))


def compile(graph: Graph, engine: str | Engine, threads: int = 1) -> Program:
    """Prepare `graph` for `engine`: every node checked, its rule chosen, its weights packed.

    Raises UnsupportedError, ShapeError or GraphError naming the node, CapacityError where one sample needs over 4 GiB.
    """
    profile = engine_called(engine)
    if threads < 1:
        raise InputError(f"threads is {threads}; expected at least 1")
    arena = plan(graph)
    if arena.size_bytes > SAMPLE_BYTES_LIMIT:
        raise CapacityError(
            f"graph {graph.name!r} needs {arena.size_bytes} bytes for one sample; the limit is {SAMPLE_BYTES_LIMIT}"
        )
    nodes = tuple(_bind(NodeView(graph, node), profile) for node in graph.nodes)
    macs = sum(operator(node.view).macs(node.view) for node in nodes)
    return Program(graph, profile, threads, nodes, arena.size_bytes, macs)


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
    return BoundNode(view, rule, _narrowed(view, op, _tables.bind(op, view, rule)))


def _narrowed(view: NodeView, op: Op, step: Step) -> Step:
    """`step`, its codes limited to formats of fewer bits than their dtype, where its own output stage does not."""
    narrow = [(i, *code_limits(t)) for i, t in enumerate(view.outputs) if getattr(t.format, "bits", None)]
    if not narrow or isinstance(op, Accumulating):
        return step

    def limited(inputs: Arrays, outputs: Arrays) -> None:
        step(inputs, outputs)
        for position, low, high in narrow:
            np.clip(outputs[position], low, high, out=outputs[position])

    return limited
