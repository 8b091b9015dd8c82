"""The network that hwsim brings: a small convolutional classifier of Fashion-MNIST, trained by this project.

`scripts/train_demo.py` and `scripts/build_demo.py` reproduce network.tflite, images.npz and golden.npz.
"""

import sys
from functools import partial
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from hwsim.cost_models import Estimate, estimate
from hwsim.engines import Engine, real_engines
from hwsim.graph import Graph
from hwsim.importers import load_bytes
from hwsim.reports.console import print_json, table
from hwsim.reports.estimate import print_estimates
from hwsim.reports.page import write_report
from hwsim.simulate import Run, simulate
from hwsim.verify import verify
from hwsim.verify.reference import installed

Array = NDArray[Any]
Arrays = dict[str, Array]
LIVE_IMAGES = 16
TARGETS = ("cortex-m4", "cortex-m7", "ethos-u55-128")


def network() -> Graph:
    """The demonstration network."""
    return load_bytes(files(__name__).joinpath("network.tflite").read_bytes(), "network.tflite")


def images() -> tuple[Array, Array]:
    """Input codes int8 (500, 28, 28, 1) and labels uint8 (500,): the first test images of Fashion-MNIST."""
    data = _arrays("images.npz")
    return (data["x"].astype(np.int16) - 128).astype(np.int8), data["y"]


def run_demo(out: Console, err: Console, folder: Path, *, as_json: bool = False) -> int:
    """Run the network under every engine, compare with what the real ones gave, and write what it costs on `TARGETS`.

    folder : for the report

    Returns 0 if all is exact, else 1.
    """
    graph, (x, labels) = network(), images()
    golden = _arrays("golden.npz")
    facts: dict[str, Any] = {"network": graph.name, "nodes": len(graph.nodes), "images": len(x), "engines": {}}
    with Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as progress:
        for name, profile in real_engines().items():
            task = progress.add_task(name, total=len(x) + LIVE_IMAGES)
            run = simulate(graph, x, profile, keep_tensors=True, progress=partial(progress.advance, task))
            live = _live(graph, profile, x)
            progress.advance(task, LIVE_IMAGES)
            facts["engines"][name] = _facts(graph, run, labels, golden, live)
    costs = [estimate(graph, name) for name in TARGETS]
    facts["costs"] = [_cost(cost) for cost in costs]
    facts["report"] = str(write_report(costs, folder))
    if as_json:
        print_json(facts)
    else:
        _print(out, facts)
        print_estimates(out, costs, notes_too=False)
        out.print(f"written: {facts['report']}", highlight=False, soft_wrap=True)
        _print_next(out)
    return 0 if all(found["exact"] for found in facts["engines"].values()) else 1


def _cost(cost: Estimate) -> dict[str, Any]:
    return {
        "target": cost.target.name,
        "runtime": cost.runtime,
        "latency_s": cost.latency_s,
        "latency_band_s": cost.latency_band_s,
        "energy_j": cost.energy_j,
        "peak_sram_bytes": cost.peak_sram_bytes,
        "flash_bytes": cost.flash_bytes,
    }


def _facts(graph: Graph, run: Run, labels: Array, golden: Arrays, live: dict[str, Any] | None) -> dict[str, Any]:
    names = [graph.tensors[i].name for node in graph.nodes for i in node.outputs]
    equal = sum(_digest(run.tensors[name]) == golden[f"{run.engine}/sha256/{name}"].tobytes() for name in names)
    differing = int(np.count_nonzero(run.outputs[0] != golden[f"{run.engine}/output"]))
    return {
        "accuracy": float((run.outputs[0].argmax(axis=1) == labels).mean()),
        "tensors": len(names),
        "tensors_equal": equal,
        "outputs_differing": differing,
        "live": live,
        "exact": equal == len(names) and differing == 0 and (live is None or live["exact"]),
    }


def _live(graph: Graph, profile: Engine, x: Array) -> dict[str, Any] | None:
    """What a comparison with the real engine finds, None where it is not installed."""
    version = installed(profile)
    if version is None:
        return None
    check = verify(graph, x[:LIVE_IMAGES], engine=profile)
    return {"package": f"{profile.package} {version}", "exact": check.exact, "samples": check.samples}


def _print(out: Console, facts: dict[str, Any]) -> None:
    rows = []
    for name, found in facts["engines"].items():
        stored = f"{found['tensors_equal']} of {found['tensors']} tensors equal"
        live = found["live"]
        now = "not installed" if live is None else f"{'equal' if live['exact'] else 'DIFFERS'}, {live['package']}"
        rows.append((name, f"{100 * found['accuracy']:.1f} %", stored, now))
    title = f"{facts['network']}: {facts['nodes']} nodes, {facts['images']} Fashion-MNIST test images"
    out.print(
        table(title, ["engine", "accuracy", "against stored tensors", "against the live engine"], rows, ["accuracy"])
    )
    exact = all(found["exact"] for found in facts["engines"].values())
    out.print("exact: every tensor of every engine" if exact else "NOT exact", style="green" if exact else "red")
    if any(found["live"] is None for found in facts["engines"].values()):
        out.print("To compare with the real engines as well: pip install 'hwsim[verify]'")


def _print_next(out: Console) -> None:
    out.print("Next, with a network of your own:")
    for line in (
        "info MODEL.tflite",
        "run MODEL.tflite --engine tflite-micro",
        "verify MODEL.tflite --against xnnpack",
        "estimate MODEL.tflite --target cortex-m4,ethos-u55-128",
    ):
        out.print(f"  hwsim {line}", highlight=False)


def _digest(value: Array) -> bytes:
    return sha256(np.ascontiguousarray(value).tobytes()).digest()


def _arrays(name: str) -> Arrays:
    with files(__name__).joinpath(name).open("rb") as file, np.load(file, allow_pickle=False) as data:
        return dict(data)


__all__ = ["images", "network", "run_demo"]
