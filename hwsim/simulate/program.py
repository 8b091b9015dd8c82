"""A graph prepared for an engine: rules chosen, weights packed, tensors placed, every node one short call."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from hwsim.engines import Engine, Rule
from hwsim.engines import engine as engine_called
from hwsim.errors import CapacityError, InputError
from hwsim.graph import Graph, NodeView
from hwsim.ops import _tables, operator
from hwsim.ops._accumulating import Accumulating
from hwsim.ops._base import Arrays, Op, Step, code_limits, elements, merge_batch
from hwsim.ops._fixed import SLACK_BYTES, fix, joined, scratch
from hwsim.simulate.arena import plan
from hwsim.simulate.inputs import Array, Inputs, SampleBatch
from hwsim.simulate.known import known_views
from hwsim.simulate.state import State, named_state, starting_state

CHUNK_BYTES = 256 << 10
"""Samples are run together while their tensors fit in this much: half of a common second-level cache."""

CHUNK_SAMPLES = 32
THREAD_WORK = 1 << 25
"""Less work than this, about a tenth of a millisecond, costs more to hand to threads than it takes."""

ELEMENT_WORK = 32
"""What computing one output element takes beside its multiply-accumulates, counted in these (docs/decisions/0004)."""

SAMPLE_BYTES_LIMIT = 4 << 30


@dataclass(frozen=True, slots=True)
class Run:
    """What a simulation gave.

    Parameters
    ----------
    outputs : arrays in output order, model dtypes, batched along axis 0
    tensors : every computed tensor and input by name, where they were kept
    engine : whose arithmetic
    state : after the last step, by tensor name, to hand in again; empty where samples were independent of each other
    """

    outputs: list[Array]
    tensors: dict[str, Array]
    engine: str
    state: dict[str, Array] = field(default_factory=dict)


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
        for index in graph.variables:
            tensor = graph.tensors[index]
            part = scratch(tensor.size_bytes * samples)[: tensor.size_bytes * samples]
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
        self._inputs = [flattened(self.values[i]) for i in graph.inputs]
        self._outputs = [flattened(value_of(graph, i, self.values, samples)) for i in graph.outputs]

    def reset(self, state: Mapping[int, Array]) -> None:
        """Let every sample start from `state`: values of variables by index."""
        for index, value in state.items():
            self.values[index][...] = value

    def run(self, inputs: Mapping[int, Array], part: slice) -> None:
        """Compute the samples of `inputs` in `part`; results lie in `values`."""
        for index, value in inputs.items():
            self.values[index][...] = value[part]
        for step in self.steps:
            step()

    def outputs_for(self, arrays: Sequence[Array]) -> list[Array]:
        """Copies of the outputs, samples joined along axis 0, for inputs of that shape in order."""
        for place, array in zip(self._inputs, arrays, strict=True):
            place[...] = array
        for step in self.steps:
            step()
        return [output.copy() for output in self._outputs]


@dataclass(frozen=True, slots=True)
class Program:
    """A graph prepared once for an engine. Call it on arrays.

    Parameters
    ----------
    threads : samples are spread over this many threads
    nodes : in execution order, with the rule of each
    arena_bytes : memory for the tensors of one sample, as a target with TFLM's planner needs it
    work : multiply-accumulates of one sample, and `ELEMENT_WORK` for every element computed
    """

    graph: Graph
    engine: Engine
    threads: int
    nodes: tuple[BoundNode, ...]
    arena_bytes: int
    work: int
    _one_sample: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...] = field(default=(), repr=False)
    _idle: dict[tuple[int, bool], list[Session]] = field(default_factory=dict, repr=False)
    _pool: list[ThreadPoolExecutor] = field(default_factory=list, repr=False)

    def __call__(self, x: Inputs) -> list[Array]:
        """Outputs for `x`, as `run` gives them."""
        arrays: Any = x if isinstance(x, list) else [x]
        if self._one_sample and len(arrays) == len(self._one_sample) and self._idle.get((1, False)):
            for array, (shape, dtype) in zip(arrays, self._one_sample, strict=True):
                if type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype:
                    break
            else:
                session = self._take(1, keep=False)
                results = session.outputs_for(arrays)
                self._idle[1, False].append(session)
                return results
        return self.run(x).outputs

    def run(
        self,
        x: Inputs,
        *,
        keep_tensors: bool = False,
        stateful: bool = False,
        state: State | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Run:
        """Run on `x`, streaming it in chunks; parameters as for `simulate`."""
        batch, start = SampleBatch.of(self.graph, x), starting_state(self.graph, state)
        last: dict[str, Array] = {}
        if self.graph.variables and (stateful or batch.samples == 1):
            values, last = self.run_steps(
                batch.values, batch.samples, start, keep_tensors=keep_tensors, progress=progress
            )
        else:
            values = self.run_samples(batch.values, batch.samples, start, keep_tensors=keep_tensors, progress=progress)
        flat = {index: batch.flatten(value) for index, value in values.items()}
        names = {self.graph.tensors[i].name: value for i, value in flat.items()} if keep_tensors else {}
        return Run([flat[i] for i in self.graph.outputs], names, self.engine.name, last)

    def run_steps(
        self,
        inputs: Mapping[int, Array],
        samples: int,
        state: Mapping[int, Array],
        *,
        keep_tensors: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> tuple[dict[int, Array], dict[str, Array]]:
        """As `run_samples`, each sample going on from the state that the one before left; and the last state."""
        kept = self.computed() if keep_tensors else self.graph.outputs
        stores = {i: np.empty((samples, *self.graph.tensors[i].shape), self.graph.tensors[i].dtype) for i in kept}
        session = self._take(1, keep=keep_tensors)
        session.reset(state)
        for step in range(samples):
            session.run(inputs, slice(step, step + 1))
            for index, store in stores.items():
                store[step] = value_of(self.graph, index, session.values, 1)[0]
            if progress is not None:
                progress(1)
        last = named_state(self.graph, session.values)
        self._idle[1, keep_tensors].append(session)
        return stores, last

    def run_samples(
        self,
        inputs: Mapping[int, Array],
        samples: int,
        state: Mapping[int, Array] | None = None,
        *,
        keep_tensors: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> dict[int, Array]:
        """Outputs, or with `keep_tensors` every input, variable and computed tensor, by index.

        Inputs and results have shape (samples, *declared shape). Every sample starts from `state`, by default reset.
        """
        kept = self.computed() if keep_tensors else self.graph.outputs
        width = self._chunk(samples)
        start_from = starting_state(self.graph) if state is None else state
        if width == samples:
            results = self._run_chunk(inputs, slice(0, samples), kept, keep_tensors, start_from)
            if progress is not None:
                progress(samples)
            return results
        stores = {i: np.empty((samples, *self.graph.tensors[i].shape), self.graph.tensors[i].dtype) for i in kept}

        def run_chunk(start: int) -> None:
            part = slice(min(start, samples - width), min(start + width, samples))
            for index, value in self._run_chunk(inputs, part, kept, keep_tensors, start_from).items():
                stores[index][part] = value

        starts = range(0, samples, width)
        for start, _ in zip(starts, self._threads(samples).map(run_chunk, starts), strict=True):
            if progress is not None:
                progress(min(width, samples - start))
        return stores

    def _run_chunk(
        self,
        inputs: Mapping[int, Array],
        part: slice,
        kept: Collection[int],
        keep: bool,
        state: Mapping[int, Array],
    ) -> dict[int, Array]:
        """Copies of the tensors in `kept` for the samples in `part`, each of which starts from `state`."""
        samples = part.stop - part.start
        session = self._take(samples, keep=keep)
        session.reset(state)
        session.run(inputs, part)
        results = {index: value_of(self.graph, index, session.values, samples).copy() for index in kept}
        self._idle[samples, keep].append(session)
        return results

    def _take(self, samples: int, *, keep: bool) -> Session:
        """A session that nobody else uses, to be put back among `_idle`."""
        try:
            return self._idle.setdefault((samples, keep), []).pop()
        except IndexError:
            return Session(self.graph, self.nodes, samples, keep)

    def computed(self) -> set[int]:
        """Inputs, outputs, variables and everything between, by tensor index."""
        between = {i for node in self.nodes for i in node.view.node.outputs}
        return between | {*self.graph.inputs, *self.graph.outputs, *self.graph.variables}

    def _chunk(self, samples: int) -> int:
        """How many samples to run together: as many as fit the cache, in chunks of one size."""
        most = max(
            1, min(CHUNK_SAMPLES, CHUNK_BYTES // max(self.arena_bytes, 1), -(-samples // self._workers(samples)))
        )
        return -(-samples // -(-samples // most))

    def _workers(self, samples: int) -> int:
        """How many threads this much work is worth."""
        return 1 if self.work * samples < THREAD_WORK else self.threads

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


def flattened(value: Array) -> Array:
    """(samples, batch, ...) viewed as (samples * batch, ...); what has no batch stays."""
    return merge_batch(value) if value.ndim > 1 else value


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
    needed = arena.size_bytes + sum(graph.tensors[index].size_bytes for index in graph.variables)
    if needed > SAMPLE_BYTES_LIMIT:
        raise CapacityError(
            f"graph {graph.name!r} needs {needed} bytes for one sample; the limit is {SAMPLE_BYTES_LIMIT}"
        )
    nodes = tuple(_bind(view, profile) for view in known_views(graph))
    work = sum(_work(node.view) for node in nodes)
    heads = () if graph.variables else tuple(graph.tensors[index] for index in graph.inputs)
    one_sample = tuple((tensor.shape, np.dtype(tensor.dtype)) for tensor in heads)  # state goes the long way
    return Program(graph, profile, threads, nodes, arena.size_bytes, work, one_sample)


def _work(view: NodeView) -> int:
    return operator(view).macs(view) + ELEMENT_WORK * sum(elements(tensor.shape) for tensor in view.outputs)


def simulate(
    graph: Graph,
    x: Inputs,
    engine: str | Engine,
    *,
    keep_tensors: bool = False,
    stateful: bool = False,
    state: State | None = None,
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
    stateful : the samples are consecutive steps, each going on from the state that the one before left; otherwise each
        is a run of its own
    state : what to start from, by tensor name, as `Run.state` gives it; by default every variable is reset
    threads : samples are spread over this many threads; consecutive steps run on one
    progress : called with the number of samples done, again and again
    """
    program = compile(graph, engine, threads)
    return program.run(x, keep_tensors=keep_tensors, stateful=stateful, state=state, progress=progress)


def _bind(view: NodeView, profile: Engine) -> BoundNode:
    op = operator(view)
    rule = op.rule(profile, view)
    op.check(view)
    op.check_state(view)
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
