"""Time hwsim beside the real engines: one cell for each batch size and number of threads, everybody in one run.

A cell is measured in a child process, so that an engine that crashes costs that engine's numbers and no more.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

from hwsim.engines import Engine, real_engines
from hwsim.engines import engine as engine_called
from hwsim.errors import HwsimError, InputError
from hwsim.graph import Graph, NodeView
from hwsim.ops import operator
from hwsim.verify._bench_process import run_child
from hwsim.verify.machine import Machine, this_machine
from hwsim.verify.reference import RUNNERS, _tflite_bytes, installed


@dataclass(frozen=True, slots=True)
class Timing:
    """What one contestant took, in milliseconds per sample.

    Parameters
    ----------
    median_ms, fastest_ms, slowest_ms : over all measurements
    measurements : how many
    how : 'whole batch' in one call (LiteRT's inputs resized for it), or how many samples were handed in 'one by one'
        where the network or the engine does not take a batch, or is too slow for all of it
    """

    median_ms: float
    fastest_ms: float
    slowest_ms: float
    measurements: int
    how: str


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """hwsim's time inside the nodes of one operator: milliseconds per sample, threads summed."""

    op: str
    nodes: int
    macs: int
    ms: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One batch size and number of threads.

    Parameters
    ----------
    timings : by contestant, 'hwsim' first
    left_out : by engine, why it has no timing
    operators : where hwsim's time goes, the longest first
    memory_bytes : what hwsim's call on the batch needs beyond its inputs, outputs and the prepared program; None where
        the system does not tell
    differing : elements in which hwsim's outputs differ from those of the engine that it simulates; None where that
        one did not run
    """

    batch: int
    threads: int
    timings: dict[str, Timing]
    left_out: dict[str, str]
    operators: list[OperatorTime]
    memory_bytes: int | None
    differing: int | None

    def ratio(self, name: str) -> float | None:
        """How many times faster than `name` hwsim is; None where that has no timing."""
        found = self.timings.get(name)
        return found.median_ms / self.timings["hwsim"].median_ms if found is not None else None


@dataclass(frozen=True, slots=True)
class Benchmark:
    """All cells of one network.

    Parameters
    ----------
    engine : whose arithmetic hwsim used
    macs : multiply-accumulates of one sample
    """

    network: str
    engine: str
    macs: int
    machine: Machine
    cells: list[Cell]

    def cell(self, batch: int, threads: int) -> Cell | None:
        """The cell of that batch size and number of threads."""
        return next((cell for cell in self.cells if (cell.batch, cell.threads) == (batch, threads)), None)


def measure(
    graph: Graph,
    engine: str = "litert-reference",
    *,
    batches: Sequence[int] = (1, 64),
    threads: Sequence[int] = (1, 2),
    seconds: float = 1.0,
    against: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
    on_compilation: Callable[[], None] | None = None,
) -> Benchmark:
    """Time hwsim and the real engines on random inputs.

    Parameters
    ----------
    engine : whose arithmetic hwsim uses
    batches : how many samples a call has, each of the batch that the file declares
    seconds : how long everybody is timed in each cell, about; at least five measurements, two where one takes four
        times as long
    against : real engines; by default all that hwsim knows. Those that cannot run are left out, with the reason
    progress : called with 1 after each cell
    on_compilation : called once if kernels have to be compiled

    Raises
    ------
    UnsupportedError : `engine` cannot run the network
    InputError : no such engine, or a batch, threads or seconds that is too small
    CapacityError : a batch needs too much memory
    HwsimError : hwsim's own measurement crashed or took longer than half an hour
    """
    profile = engine_called(engine)
    for what, values in (("batch", batches), ("threads", threads)):
        for value in values:
            if value < 1:
                raise InputError(f"{what} is {value}; expected at least 1")
    if not seconds > 0:
        raise InputError(f"seconds is {seconds:g}; expected more than 0")
    macs = sum(operator(view).macs(view) for view in (NodeView(graph, node) for node in graph.nodes))
    real = [engine_called(name) for name in against] if against is not None else list(real_engines().values())
    cells = []
    with TemporaryDirectory(prefix="hwsim-", ignore_cleanup_errors=True) as name:
        course = _Course(Path(name), graph, profile, real, seconds, on_compilation)
        for batch in dict.fromkeys(batches):
            for count in dict.fromkeys(threads):
                cells.append(course.cell(batch, count))
                if progress is not None:
                    progress(1)
    return Benchmark(graph.name, profile.name, macs, this_machine(), cells)


class _Course:
    """A network laid out in a folder for the children, and who takes part."""

    def __init__(
        self,
        folder: Path,
        graph: Graph,
        profile: Engine,
        real: Sequence[Engine],
        seconds: float,
        on_compilation: Callable[[], None] | None,
    ) -> None:
        self.folder, self.on_compilation = folder, on_compilation
        self.left_out = {engine.name: why for engine in real if (why := _absent(engine))}
        self.against = [engine.name for engine in real if engine.name not in self.left_out]
        graph.save(folder / "model.hwsim")
        try:
            if self.against:
                (folder / "model.tflite").write_bytes(_tflite_bytes(graph))
        except HwsimError as error:
            self.left_out |= dict.fromkeys(self.against, str(error))
            self.against = []
        self.request = {
            "engine": profile.name,
            "seconds": seconds,
            "elements": sum(prod(tensor.shape) for tensor in graph.tensors if tensor.data is None),
            "outputs": [*graph.outputs],
        }

    def compiling(self) -> None:
        """Say so, once."""
        said, self.on_compilation = self.on_compilation, None
        if said is not None:
            said()

    def cell(self, batch: int, threads: int) -> Cell:
        """Measure one cell, again without whoever crashed."""
        left_out, against = dict(self.left_out), list(self.against)
        if threads > 1 and "tflite-micro" in against:
            against.remove("tflite-micro")
            left_out["tflite-micro"] = "runs on one thread"
        now = self.folder / "now"
        while True:
            request = {**self.request, "batch": batch, "threads": threads, "against": against}
            (self.folder / "request.json").write_text(json.dumps(request))
            now.unlink(missing_ok=True)
            answer = run_child(self.folder, self.compiling)
            if isinstance(answer, dict):
                break
            culprit = now.read_text() if now.exists() else "hwsim"
            if culprit not in against:
                raise HwsimError(f"measuring {culprit} at batch {batch} {answer}; use a smaller batch")
            against.remove(culprit)
            left_out[culprit] = answer
        return Cell(
            batch,
            threads,
            {name: Timing(**timing) for name, timing in answer["timings"].items()},
            left_out | answer["left_out"],
            [OperatorTime(**entry) for entry in answer["operators"]],
            answer["memory_bytes"],
            answer["differing"],
        )


def _absent(engine: Engine) -> str | None:
    """Why the real engine cannot be run here, None where it can."""
    if engine.reference not in RUNNERS:
        return "cannot be run here"
    if installed(engine) is None:
        return f"{engine.package} is not installed; run: pip install 'hwsim[verify]'"
    return None
