"""Times hwsim and the real engines on one batch size and number of threads: one cell of a benchmark.

A process of its own, because real engines crash on some models. `hwsim.verify.bench` starts it with a FOLDER that holds

request.json  engine (whose arithmetic hwsim uses), against (keys of `RUNNERS`), batch, threads, seconds, elements (of
              all computed tensors together), outputs (tensor indices)
model.hwsim   the graph
model.tflite  the same for real engines, where there are any

and the script adds `now`, the name of whoever is running, and writes one JSON object a line to standard output:
{"compiling": true} once, then {"answer": ...} or {"error": [class, text]}.
"""

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.graph import Graph, NodeView
from hwsim.graph.file import read
from hwsim.graph.probes import random_inputs
from hwsim.kernels import on_compilation
from hwsim.ops import operator
from hwsim.simulate import Program, compile
from hwsim.verify._reference_child import TfliteMicro

Array = NDArray[Any]
Request = Mapping[str, Any]
Caller = Callable[[list[Array]], list[Array]]
"""One call: copies the inputs in, computes, copies the outputs out."""

RESOLVERS = {
    "litert-reference": "BUILTIN_REF",
    "litert-optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "xnnpack": "AUTO",
}
BLOCK_S = 0.01
LEAST_BLOCKS, SLOW_BLOCKS = 5, 2
SLOW = 4.0


@dataclass(slots=True)
class Contestant:
    """Who is timed: one measurement makes `calls` one after another.

    Parameters
    ----------
    samples : in all calls of a measurement together
    how : how they are handed in
    times_s : measured so far, per sample
    """

    caller: Caller
    calls: list[list[Array]]
    samples: int
    how: str
    times_s: list[float] = field(default_factory=list)

    def measure(self) -> float:
        """Seconds per sample of one measurement."""
        start = perf_counter()
        for arrays in self.calls:
            self.caller(arrays)
        return (perf_counter() - start) / self.samples

    def outputs(self) -> list[Array]:
        """Each output's values, all samples in a row."""
        results = [self.caller(arrays) for arrays in self.calls]
        return [np.concatenate([np.ravel(value) for value in values]) for values in zip(*results, strict=True)]


class LiteRt:
    """LiteRT with one of its three sets of kernels, its inputs resized to `shapes` where given."""

    def __init__(self, resolver: str, model: bytes, threads: int, shapes: Sequence[Sequence[int]] = ()) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        kind = OpResolverType[resolver]
        self.engine = Interpreter(model_content=model, num_threads=threads, experimental_op_resolver_type=kind)
        self.inputs = [details["index"] for details in self.engine.get_input_details()]
        self.outputs = [details["index"] for details in self.engine.get_output_details()]
        for index, shape in zip(self.inputs, shapes, strict=False):
            self.engine.resize_tensor_input(index, [*shape])
        self.engine.allocate_tensors()

    def __call__(self, arrays: list[Array]) -> list[Array]:
        """One call."""
        for index, value in zip(self.inputs, arrays, strict=True):
            self.engine.set_tensor(index, value)
        self.engine.invoke()
        return [self.engine.get_tensor(index) for index in self.outputs]


def micro(model: bytes, request: Request) -> Caller:
    """TensorFlow Lite for Microcontrollers, which runs the batch that the file declares."""
    outputs = request["outputs"]
    session = TfliteMicro(model, {"keep": False, "outputs": outputs, "elements": request["elements"]})

    def call(arrays: list[Array]) -> list[Array]:
        session.run(arrays)
        return [session.read(index) for index in outputs]

    return call


def real_engine(name: str, model: bytes, request: Request, graph: Graph, whole: list[Array]) -> Contestant:
    """A real engine, on the whole batch where it takes it and is not too slow, else on single samples."""
    batch, seconds = request["batch"], request["seconds"]
    resolver = RESOLVERS.get(name)
    caller = LiteRt(resolver, model, request["threads"]) if resolver else micro(model, request)
    single = Contestant(caller, one_by_one(graph, whole, batch), batch, f"{batch} single calls")
    first = replace(single, calls=single.calls[:1], samples=1, how="one call")
    first.measure()
    if batch == 1:
        return first
    each = first.measure()
    if resolver and each * batch <= SLOW * seconds:
        try:
            resized = LiteRt(resolver, model, request["threads"], [array.shape for array in whole])
            if same(resized(whole), [caller(single.calls[0]), caller(single.calls[-1])]):
                return Contestant(resized, [whole], batch, "one call, input resized")
        except (RuntimeError, ValueError):
            pass  # the file fixes its batch somewhere: a RESHAPE to a constant shape
    count = max(1, min(batch, int(seconds / each)))
    return replace(single, calls=single.calls[:count], samples=count, how=f"{count} single calls")


def one_by_one(graph: Graph, whole: list[Array], batch: int) -> list[list[Array]]:
    """The samples of `whole`, each at the batch that the file declares."""
    rows = [len(array) // batch if array.ndim else 0 for array in whole]
    return [
        [array[n * count : (n + 1) * count] if array.ndim else array for array, count in zip(whole, rows, strict=True)]
        for n in range(batch)
    ]


def same(whole: list[Array], ends: list[list[Array]]) -> bool:
    """Whether a batch's outputs begin and end as those of its first and last sample by themselves."""
    return all(
        np.array_equal(value[: len(first)], first) and np.array_equal(value[-len(last) :], last)
        for value, first, last in zip(whole, *ends, strict=True)
    )


def race(contestants: Mapping[str, Contestant], seconds: float, say: Callable[[str], object]) -> None:
    """Time everybody for about `seconds` each, in blocks of calls that are spread evenly and in random order.

    In blocks, so that the first call after somebody else's, with cold caches and that one's threads still spinning, is
    one of many.
    """
    generator = np.random.default_rng(0)
    plan: list[tuple[float, str, int]] = []
    for name, contestant in contestants.items():
        say(name)
        once = min(contestant.measure() * contestant.samples for _ in range(2))
        calls = max(1, int(min(BLOCK_S, seconds / LEAST_BLOCKS) / once))
        blocks = max(LEAST_BLOCKS if once <= SLOW * seconds else SLOW_BLOCKS, ceil(seconds / (calls * once)))
        plan += [((turn + generator.random()) / blocks, name, calls) for turn in range(blocks)]
    for _, name, calls in sorted(plan):
        say(name)
        contestant = contestants[name]
        contestant.times_s += [contestant.measure() for _ in range(calls)]


def node_times(program: Program, x: list[Array], samples: int, seconds: float) -> list[float]:
    """Seconds per sample that each node takes: the median over calls; threads are summed."""
    spent: list[list[float]] = [[] for _ in program.nodes]

    def timed(step: Callable[..., object], times: list[float]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            start = perf_counter()
            step(*arguments)
            times.append(perf_counter() - start)  # one step of the interpreter, so safe with threads

        return run

    nodes = [replace(node, step=timed(node.step, times)) for node, times in zip(program.nodes, spent, strict=True)]
    profiled, calls = replace(program, nodes=tuple(nodes)), []
    end = perf_counter() + seconds
    while perf_counter() < end or len(calls) < SLOW_BLOCKS:
        profiled(x)
        calls.append([sum(times) / samples for times in spent])
        for times in spent:
            times.clear()
    return [float(median) for median in np.median(calls, axis=0)]


def by_operator(program: Program, seconds: Sequence[float]) -> list[dict[str, Any]]:
    """How many nodes each operator has, their MACs and milliseconds per sample; the longest first."""
    found: dict[str, dict[str, Any]] = {}
    for node, spent in zip(program.graph.nodes, seconds, strict=True):
        view = NodeView(program.graph, node)
        entry = found.setdefault(node.op, {"op": node.op, "nodes": 0, "macs": 0, "ms": 0.0})
        entry["nodes"] += 1
        entry["macs"] += operator(view).macs(view)
        entry["ms"] += spent * 1e3
    return sorted(found.values(), key=lambda entry: -entry["ms"])


def answer(folder: Path, request: Request) -> dict[str, Any]:
    """The whole cell."""
    say: Callable[[str], object] = (folder / "now").write_text
    say("hwsim")
    graph, batch = read((folder / "model.hwsim").read_bytes()), request["batch"]
    whole = random_inputs(graph, batch)
    before = peak_bytes()
    program = compile(graph, request["engine"], request["threads"])
    ours = Contestant(program, [whole], batch, "one call")
    outputs = ours.outputs()
    used = peak_bytes() - before - sum(value.nbytes for value in outputs)
    contestants, left_out, differing = {"hwsim": ours}, {}, None
    model = (folder / "model.tflite").read_bytes() if request["against"] else b""
    for name in request["against"]:
        say(name)
        try:
            contestants[name] = real_engine(name, model, request, graph, whole)
            if name == request["engine"]:
                theirs = contestants[name].outputs()
                differing = sum(int((a[: len(b)] != b).sum()) for a, b in zip(outputs, theirs, strict=True))
        except Exception as error:
            left_out[name] = " ".join(str(error).split()) or type(error).__name__
    gc.collect()
    gc.disable()
    race(contestants, request["seconds"], say)
    say("hwsim")
    operators = by_operator(program, node_times(program, whole, batch, request["seconds"]))
    timings = {name: summary(contestant) for name, contestant in contestants.items()}
    return {
        "timings": timings,
        "left_out": left_out,
        "operators": operators,
        "memory_bytes": used if before else None,
        "differing": differing,
    }


def summary(contestant: Contestant) -> dict[str, Any]:
    """Median, fastest and slowest measurement, in milliseconds per sample."""
    times = np.array(contestant.times_s) * 1e3
    return {
        "median_ms": float(np.median(times)),
        "fastest_ms": float(times.min()),
        "slowest_ms": float(times.max()),
        "measurements": len(times),
        "how": contestant.how,
    }


def peak_bytes() -> int:
    """The most memory this process has had resident; 0 where the system does not tell (getrusage counts the parent)."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)


def main(folder: Path) -> None:
    """Answer the request in `folder`; what engines print goes to standard error."""
    with os.fdopen(os.dup(1), "w") as channel:
        os.dup2(2, 1)

        def send(message: Mapping[str, Any]) -> None:
            print(json.dumps(message), file=channel, flush=True)  # noqa: T201

        on_compilation(lambda: send({"compiling": True}))
        try:
            send({"answer": answer(folder, json.loads((folder / "request.json").read_text()))})
        except HwsimError as error:
            send({"error": [type(error).__name__, str(error)]})
        except MemoryError as error:
            send({"error": ["CapacityError", f"not enough memory ({error}); use a smaller batch"]})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
