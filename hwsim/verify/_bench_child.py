"""Times hwsim and the real engines on one batch size and number of threads: one cell of a benchmark.

A process of its own, because real engines crash on some models. `hwsim.verify.bench` starts it with a FOLDER that holds

request.json  engine (whose arithmetic hwsim uses), against (names of real engines), batch, threads, seconds, elements
              (of all computed tensors together), outputs (tensor indices)
model.hwsim   the graph
model.tflite  the same for the real engines, where there are any

and the script adds `now`, the name of whoever is running, and writes one JSON object a line to standard output:
{"compiling": true} if it must, then {"answer": ...} or {"error": [class, text]}.
"""

import gc
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import HwsimError
from hwsim.graph import NodeView
from hwsim.graph.file import read
from hwsim.graph.probes import random_inputs
from hwsim.kernels import on_compilation
from hwsim.ops import operator
from hwsim.ops._base import Step
from hwsim.ops._fixed import Arrays, FixableStep, Fixed, fix
from hwsim.simulate import Program, compile
from hwsim.verify._contestants import Contestant, Request, one_by_one, race, real_engine

Array = NDArray[Any]


def answer(folder: Path, request: Request) -> dict[str, Any]:
    """The whole cell."""
    say: Callable[[str], object] = (folder / "now").write_text
    say("hwsim")
    graph, batch = read((folder / "model.hwsim").read_bytes()), request["batch"]
    whole = random_inputs(graph, batch)
    program = compile(graph, request["engine"], request["threads"])
    ours = Contestant(program, [whole], batch, "whole batch")
    outputs, used = first_call(ours, one_by_one(whole, batch)[0])
    contestants, left_out, differing = {"hwsim": ours}, {}, None
    model = (folder / "model.tflite").read_bytes() if request["against"] else b""
    for name in request["against"]:
        say(name)
        try:
            contestants[name] = real_engine(name, model, request, whole)
            if name == request["engine"] and not graph.variables:  # real engines' state is that of all calls so far
                theirs = contestants[name].outputs()
                differing = sum(int((a[: len(b)] != b).sum()) for a, b in zip(outputs, theirs, strict=True))
        except Exception as error:
            contestants.pop(name, None)
            left_out[name] = " ".join(str(error).split()) or type(error).__name__
    gc.collect()
    gc.disable()
    race(contestants, request["seconds"], say)
    say("hwsim")
    operators = by_operator(program, node_times(program, whole, batch, request["seconds"]))
    return {
        "timings": {name: contestant.summary() for name, contestant in contestants.items()},
        "left_out": left_out,
        "operators": operators,
        "memory_bytes": used,
        "differing": differing,
    }


def node_times(program: Program, x: list[Array], samples: int, seconds: float) -> list[float]:
    """Seconds per sample that each node takes: the median over calls. Threads are summed."""
    spent: list[list[float]] = [[] for _ in program.nodes]
    nodes = [replace(node, step=timed(node.step, times)) for node, times in zip(program.nodes, spent, strict=True)]
    # not by replace, which would hand on sessions that know nothing of the timers
    profiled = Program(program.graph, program.engine, program.threads, tuple(nodes), program.arena_bytes, program.work)
    profiled(x)
    calls: list[list[float]] = []
    end = perf_counter() + seconds
    while not calls or perf_counter() < end:
        for times in spent:
            times.clear()
        profiled(x)
        calls.append([sum(times) / samples for times in spent])
    return [float(median) for median in np.median(calls, axis=0)]


def timed(step: Step, times: list[float]) -> Step:
    """`step`, adding to `times` what each run takes once its arrays are fixed."""

    def fixed(inputs: Arrays, outputs: Arrays) -> Fixed:
        call = fix(step, inputs, outputs)

        def run() -> None:
            start = perf_counter()
            call()
            times.append(perf_counter() - start)  # list.append is safe with threads, += is not

        return run

    return FixableStep(step, fixed)


def by_operator(program: Program, seconds: Sequence[float]) -> list[dict[str, Any]]:
    """How many nodes each operator has, their MACs, and their milliseconds per sample; the longest first."""
    found: dict[str, dict[str, Any]] = {}
    for node, spent in zip(program.graph.nodes, seconds, strict=True):
        view = NodeView(program.graph, node)
        entry = found.setdefault(node.op, {"op": node.op, "nodes": 0, "macs": 0, "ms": 0.0})
        entry["nodes"] += 1
        entry["macs"] += operator(view).macs(view)
        entry["ms"] += spent * 1e3
    return sorted(found.values(), key=lambda entry: -float(entry["ms"]))


def first_call(ours: Contestant, sample: list[Array]) -> tuple[list[Array], int | None]:
    """The outputs of the whole batch, and by how much memory grew for it, outputs aside.

    The sample alone goes first, so that code is loaded. getrusage would not do: its peak cannot be reset.
    """
    ours.caller(sample)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident: man 5 proc
    before = peak_bytes()
    outputs = ours.outputs()
    used = peak_bytes() - before - sum(value.nbytes for value in outputs)
    return outputs, max(0, used) if before else None


def peak_bytes() -> int:
    """The most memory this process has had resident; 0 where the system does not tell."""
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
            print(json.dumps(message), file=channel, flush=True)

        on_compilation(lambda: send({"compiling": True}))
        try:
            send({"answer": answer(folder, json.loads((folder / "request.json").read_text()))})
        except HwsimError as error:
            send({"error": [type(error).__name__, str(error)]})
        except MemoryError as error:
            send({"error": ["CapacityError", f"not enough memory ({error}); use a smaller batch"]})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
