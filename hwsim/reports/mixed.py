"""An integer network of mixed widths: what was predicted beside what it really takes."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from hwsim.reports.console import Facts, json_text, table
from hwsim.reports.files import write_text
from hwsim.reports.page import write_report

if TYPE_CHECKING:
    from hwsim.solver import Layers, Mixed
    from hwsim.solver.mixed import Applied


def mixed_facts(mixed: "Mixed", applied: "Applied") -> Facts:
    """What `hwsim solve MODEL` says beyond the program's answer."""
    judge = mixed.layers.judge
    return {
        "predicted": mixed.predicted,
        "actual": dict(applied.actual),
        "missed": applied.missed(mixed.solution.budgets),
        "measure": judge.measure,
        "engine": judge.engine,
        "samples": len(judge.real),
    }


def print_applied(console: Console, mixed: "Mixed", applied: "Applied") -> None:
    """Predicted beside actual, for people."""
    judge, predicted = mixed.layers.judge, mixed.predicted
    rows = [(name, f"{predicted[name]:.6g}", f"{applied.actual[name]:.6g}") for name in predicted]
    console.print(table("the integer network", ["number", "predicted", "actual"], rows, ["predicted", "actual"]))
    text = f"degradation: {judge.measure} beyond all layers at 8 bits, {len(judge.real)} samples, engine {judge.engine}"
    console.print(text, highlight=False, soft_wrap=True)
    for name, value in applied.missed(mixed.solution.budgets).items():
        limit = mixed.solution.budgets[name]
        console.print(f"missed: {name} is {value:.6g}, the budget {limit:g}", highlight=False, soft_wrap=True)


def write_mixed(layers: "Layers", applied: "Applied", facts: Facts, folder: Path) -> Path:
    """Write the network's report, solution.json and choices.csv (every choice that there was); the report's path."""
    path = write_report([layers.machine.estimate(applied.graph)], folder)
    write_text(folder / "solution.json", json_text(facts) + "\n")
    write_text(folder / "choices.csv", layers.table.to_csv(index=False))
    return path
