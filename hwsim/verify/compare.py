"""Compare every tensor of a simulation with what a real engine, or a recording, gives for the same input."""

from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Engine, engines, real_engines
from hwsim.engines import engine as engine_called
from hwsim.errors import CapacityError, InputError, ReferenceEngineError
from hwsim.graph import Graph
from hwsim.graph.graph import DTYPES
from hwsim.ops import operator
from hwsim.simulate import BoundNode, Inputs, Program, SampleBatch, compile, starting_state, value_of
from hwsim.simulate.accumulators import SeenSums
from hwsim.simulate.sum_bounds import guaranteed
from hwsim.verify.check import Check, Difference, TensorCheck
from hwsim.verify.explain import Explanation, explain_node, run_node, trace, unequal
from hwsim.verify.golden import Source, by_tensor, open_recording, recorded_inputs, recorded_source

if TYPE_CHECKING:
    from hwsim.verify.reference import ReferenceSession

Array = NDArray[Any]

CHUNK_BYTES = 256 << 20
STEPS_BYTES = 4 << 30


def verify(
    graph: Graph,
    x: Inputs | None = None,
    *,
    engine: str | Engine,
    against: str | PathLike[str] | Mapping[str, Array] | Program | None = None,
    stateful: bool = False,
    sums: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Check:
    """Simulate `graph` on `x` as `engine`, and compare every tensor with a reference.

    Integers are compared by equality, floats by their bits, or where the engine states one within its tolerance.

    Parameters
    ----------
    x : as for `hwsim.simulate`; None takes the inputs out of a recording
    engine : whose arithmetic to simulate
    against : a real engine's name (default: the same engine), a golden .npz with arrays under tensor names, or such
        a mapping; or a Program, `hwsim.compile(graph, other)`, for another simulation
    stateful : the samples are consecutive steps from reset state; otherwise each is a run of its own
    sums : follow the sum of every layer, so that `Check.sums` says what was seen beside what is guaranteed
    progress : called with the number of samples done, again and again
    """
    profile = engine_called(engine)
    if against is None or _names_engine(against):
        _check_real(profile if against is None else engine_called(against))
    program = compile(graph, profile)
    source: Source
    missing: Mapping[int, str] = {}
    if isinstance(against, Program):
        batch, version = SampleBatch.of(graph, _needed(graph, x)), f"{against.engine.name} (simulated)"
        source = _simulated(against)
    elif against is None or _names_engine(against):
        real = engine_called(against) if against is not None else profile
        batch = SampleBatch.of(graph, _needed(graph, x))
        session, version = _engine_session(graph, real, stateful)
        source, missing = session.tensors, session.missing
    else:
        recorded, version = open_recording(against)
        named = by_tensor(graph, recorded)
        batch = SampleBatch.of(graph, x if x is not None else recorded_inputs(graph, named))
        source = recorded_source(graph, named, batch)
    return _Comparison(program, batch, missing, stateful, sums).run(source, version, progress)


class _Comparison:
    """Chunks of samples through both sides, counted per tensor; `missing` tells why the reference has none."""

    def __init__(
        self, program: Program, batch: SampleBatch, missing: Mapping[int, str], stateful: bool, sums: bool
    ) -> None:
        self.program, self.batch, self.missing = program, batch, missing
        self.stateful = stateful and bool(program.graph.variables)
        self.reset = starting_state(program.graph)
        self.sums = SeenSums(program) if sums else None
        self.written = _written(program)
        self.counts: dict[int, list[float]] = {}
        self.first: tuple[int, Difference] | None = None
        self.reasons: dict[str, Explanation] = {}

    def run(self, source: Source, against: str, progress: Callable[[int], None] | None) -> Check:
        width = self._width()
        for start in range(0, self.batch.samples, width):
            part = slice(start, min(start + width, self.batch.samples))
            inputs = self.batch.arrays(part)
            ours = self._simulated(inputs, part.stop - part.start)
            self._compare(ours, source(inputs), start)
            if self.sums is not None:
                self.sums.add(ours, part.stop - part.start)
            if progress is not None:
                progress(part.stop - part.start)
        first = self.first[1] if self.first else None
        return Check(
            self.program.engine.name,
            against,
            self.batch.samples,
            self._records(),
            first,
            self.reasons,
            self.program.engine.tolerance,
            tuple(guaranteed(self.program.graph, self.program.engine) if self.sums is None else self.sums.found()),
        )

    def _width(self) -> int:
        """How many samples to compare at a time: steps all at once, for a real engine's state ends with it."""
        total = sum(tensor.size_bytes for tensor in self.program.graph.tensors if tensor.dtype in DTYPES)
        if not self.stateful:
            return max(1, CHUNK_BYTES // max(total, 1))
        if total * self.batch.samples > STEPS_BYTES:
            raise CapacityError(
                f"{self.batch.samples} consecutive steps need {total * self.batch.samples} bytes to compare; "
                f"the limit is {STEPS_BYTES}: hand in fewer"
            )
        return self.batch.samples

    def _simulated(self, inputs: Mapping[int, Array], samples: int) -> Mapping[int, Array]:
        if self.stateful:
            return self.program.run_steps(inputs, samples, self.reset, keep_tensors=True)[0]
        return self.program.run_samples(inputs, samples, keep_tensors=True)

    def _compare(self, ours: Mapping[int, Array], theirs: Mapping[int, Array], start: int) -> None:
        theirs = {**_assigned(self.program, theirs), **theirs}
        theirs |= _left_out(self.program, ours, theirs)
        for position, node in enumerate(self.program.nodes):
            for slot, index in self.written[position]:
                if index in theirs:
                    self._compare_tensor(position, node, slot, index, ours, theirs, start)

    def _compare_tensor(self, position: int, node: BoundNode, slot: int, index: int,
                        ours: Mapping[int, Array], theirs: Mapping[int, Array], start: int) -> None:  # fmt: skip
        expected, actual = theirs[index], ours[index]
        tolerance = self.program.engine.tolerance
        wrong = unequal(expected, actual, tolerance)
        count = self.counts.setdefault(index, [0, 0, 0.0, 0])
        count[0] += expected.size
        differing = int(np.count_nonzero(wrong))
        if differing or tolerance:
            counted = wrong if differing else unequal(expected, actual)
            count[2] = max(count[2], _largest_gap(expected[counted], actual[counted]))
        if not differing:
            return
        count[1] += differing
        inputs = [self._known(i, ours, theirs) for i in node.view.node.inputs]
        alone = run_node(node.view, node.rule, inputs)[slot]
        count[3] += int(np.count_nonzero(unequal(expected, alone, tolerance)))
        if self.first is None or position < self.first[0]:
            self.first = position, _difference(node, slot, index, inputs, wrong, expected, actual, start)
        name = self.program.graph.tensors[index].name
        if count[3] and name not in self.reasons:
            self.reasons[name] = explain_node(node.view, node.rule, inputs, slot, expected, tolerance)

    def _records(self) -> tuple[TensorCheck, ...]:
        records = []
        for node, written in zip(self.program.nodes, self.written, strict=True):
            for _, index in written:
                tensor, op = self.program.graph.tensors[index], node.view.node.op
                if index in self.counts:
                    elements, differing, largest, alone = self.counts[index]
                    records.append(
                        TensorCheck(tensor.name, op, tensor.dtype, int(elements), int(differing), largest, int(alone))
                    )
                else:
                    why = self.missing.get(index, "not given by the reference")
                    records.append(TensorCheck(tensor.name, op, tensor.dtype, missing=why))
        return tuple(records)

    def _known(self, index: int, ours: Mapping[int, Array], theirs: Mapping[int, Array]) -> Array:
        """The reference's value of a node's input, the simulation's where the reference has none.

        Of a variable, the value that the step began with.
        """
        samples = next(iter(ours.values())).shape[0]
        after = theirs[index] if index in theirs else value_of(self.program.graph, index, ours, samples)
        if index not in self.reset:
            return after
        first = np.broadcast_to(self.reset[index], (samples, *self.reset[index].shape))
        return np.concatenate([first[:1], after[:-1]]) if self.stateful else first


def _assigned(program: Program, theirs: Mapping[int, Array]) -> dict[int, Array]:
    """What the reference's resource variables hold, which no engine shows: the values assigned to them."""
    nodes = [node.view.node for node in program.nodes if node.view.node.op == "assign_variable"]
    return {node.inputs[0]: theirs[node.inputs[1]] for node in nodes if node.inputs[1] in theirs}


def _left_out(program: Program, ours: Mapping[int, Array], theirs: Mapping[int, Array]) -> dict[int, Array]:
    """The reference's tensors that it does not write whole, with the simulation's values in the gaps."""
    found = {}
    for node in program.nodes:
        outputs = node.view.node.outputs
        gaps = operator(node.view).unwritten(node.view, [ours[index] for index in outputs])
        for index, gap in zip(outputs, gaps, strict=False):
            if index in theirs:
                found[index] = np.where(gap, ours[index], theirs[index])
    return found


def _written(program: Program) -> list[list[tuple[int, int]]]:
    """What each node computes, by place in `run_node` and tensor index: outputs, and state that no later one writes."""
    nodes = [(*n.view.node.outputs, *(n.view.node.inputs[i] for i in operator(n.view).state)) for n in program.nodes]
    last = {index: position for position, written in enumerate(nodes) for index in written}
    return [[(k, i) for k, i in enumerate(written) if last[i] == position] for position, written in enumerate(nodes)]


def _largest_gap(expected: Array, actual: Array) -> float:
    """The largest distance between two values; from a number to NaN it is infinite."""
    gap = np.abs(expected.astype(np.float64) - actual)
    return float(np.where(np.isnan(gap), np.inf, gap).max(initial=0.0))


def _difference(node: BoundNode, slot: int, index: int, inputs: list[Array], wrong: Array, expected: Array,
                actual: Array, start: int) -> Difference:  # fmt: skip
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    details = trace(node.view, node.rule, inputs, where) if slot == 0 and node.view.outputs else {}
    sample, batch = where[0] + start, expected.shape[1] if expected.ndim > 1 else 1
    inner = where[1:]
    row = (sample * batch + inner[0], *inner[1:]) if inner else (sample,)
    name = node.view.graph.tensors[index].name
    return Difference(
        name, node.view.node.op, node.view.node.name, row, expected[where].item(), actual[where].item(), details
    )


def _needed(graph: Graph, x: Inputs | None) -> Inputs:
    if x is None:
        raise InputError(f"graph {graph.name!r}: no input was given; a real engine needs one")
    return x


def _simulated(program: Program) -> Source:
    """Another simulation as the reference."""

    def tensors(inputs: dict[int, Array]) -> Mapping[int, Array]:
        samples = max((len(array) for array in inputs.values()), default=1)
        return program.run_samples(inputs, samples, keep_tensors=True)

    return tensors


def _names_engine(against: object) -> TypeGuard[str]:
    """Whether `against` is an engine's name, with or without a variant."""
    return isinstance(against, str) and against.partition(":")[0] in engines()


def _check_real(engine: Engine) -> None:
    """ReferenceEngineError where nothing here runs a .tflite file as `engine` does."""
    if engine.reference is None:
        raise ReferenceEngineError(
            f"engine {engine.name!r} is only simulated: nothing here runs a .tflite file as it does. Compare with its "
            f"simulation (--simulated {engine.name}; in Python against=hwsim.compile(graph, {engine.name!r})), with a "
            f"recording, or with one of {', '.join(sorted(real_engines()))}"
        )


def _engine_session(graph: Graph, real: Engine, stateful: bool) -> tuple["ReferenceSession", str]:
    from hwsim.verify.reference import ReferenceSession

    session = ReferenceSession(graph, real, stateful=stateful)
    return session, f"{real.reference} ({session.version})"
