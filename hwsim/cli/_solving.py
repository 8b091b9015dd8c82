"""`hwsim solve MODEL`: from a float network to the integer network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hwsim.errors import InputError
from hwsim.reports.terminal import announce_compilation, native_output_to_stderr, out, progress_bar

if TYPE_CHECKING:
    import numpy as np

    from hwsim.solver import Layers


def layers_at(given: dict[str, Any]) -> "Layers":
    """The choices of the model that the command line names, measured and costed."""
    import hwsim
    from hwsim.solver import tabulate
    from hwsim.solver.choices import checked_choices, layer_choices
    from hwsim.solver.pipelines import refiner
    from hwsim.targets import target as target_called
    from hwsim.verify.golden import read_inputs

    for name in ("model", "target", "calibration"):
        if given[name] is None:
            what = "MODEL (or --table)" if name == "model" else f"--{name}"
            raise InputError(f"{what} is missing; expected MODEL --target T --calibration X.npz, or --table COSTS.csv")
    announce_compilation()
    graph = hwsim.load(given["model"])
    asked = None if given["choices"] is None else [text for text in given["choices"].split(",") if text.strip()]
    machine = target_called(given["target"])
    options = layer_choices(
        graph, checked_choices(machine.profile, asked, given["runtime"]), pin_ends=given["pin_ends"]
    )
    labels = None if given["labels"] is None else read_labels(given["labels"])
    x = read_inputs(graph, given["calibration"])
    passed = {name: given[name] for name in ("measure", "pin_ends", "runtime", "engine", "cache")}
    if given["pipeline"] is not None:
        passed["refine"] = refiner(given["pipeline"], graph, x, given["engine"] or machine.profile.engine)
    with progress_bar("measuring", sum(map(len, options.values()))) as advance:
        return tabulate(graph, machine, x, labels=labels, choices=asked, progress=advance, **passed)


def read_labels(file: Path) -> "np.ndarray[Any, Any]":
    """Classes out of a file: its only array, or the one called 'labels' or 'y'."""
    from hwsim.importers.arrays import read_arrays

    arrays = read_arrays(file)
    names = list(arrays) if len(arrays) == 1 else [name for name in ("labels", "y") if name in arrays]
    if not names:
        raise InputError(f"{file}: has {', '.join(arrays)}; expected an array 'labels' or 'y'")
    return arrays[names[0]]


def solve_network(
    layers: "Layers",
    given: dict[str, Any],
    prices: bool,
    output: Path | None,
    report: Path | None,
    json: bool,
    pipeline: str | None = None,
) -> None:
    """Choose, apply, and say what was predicted beside what came out; exit status 1 where a budget is missed."""
    from hwsim.reports.console import print_json
    from hwsim.reports.mixed import mixed_facts, print_applied, write_mixed
    from hwsim.reports.solve import print_solution, solution_facts
    from hwsim.solver import Mixed, solve_table
    from hwsim.solver.pipelines import quantizer

    with native_output_to_stderr():
        mixed = Mixed(layers, solve_table(**given))
        facts = solution_facts(mixed.solution, prices)
    batch = layers.judge.batch
    x = [batch.flatten(batch.values[index]) for index in layers.graph.inputs]
    steps = None if pipeline is None else quantizer(pipeline, x, layers.judge.engine)
    applied = mixed.apply(steps) if mixed.choice else None
    if not json:
        print_solution(out, mixed.solution, prices)
    if applied is not None:
        facts |= mixed_facts(mixed, applied)
        if output is not None:
            applied.graph.save(output)
        if report is not None:
            write_mixed(layers, applied, facts, report)
        if not json:
            print_applied(out, mixed, applied)
            for path in (output, report and report / "report.html"):
                if path is not None:
                    out.print(f"wrote {path}", highlight=False, soft_wrap=True)
    if json:
        print_json(facts)
    raise typer.Exit(1 if applied is None or applied.missed(mixed.solution.budgets) else 0)
