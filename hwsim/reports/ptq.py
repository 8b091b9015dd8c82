"""What post-training quantization did, for people and as facts."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hwsim.reports.console import table

if TYPE_CHECKING:
    from hwsim.ptq.pipeline import Quantized


def quantized_facts(
    found: "Quantized", path: Path, costs: Mapping[str, float], budgets: Mapping[str, float]
) -> dict[str, Any]:
    """What `hwsim quantize` says; `weight_bits` by layer name, `missed` the costs beyond their budget."""
    return {
        "written": str(path),
        "float_accuracy": found.float_accuracy,
        "weight_bits": found.weight_bits,
        "costs": dict(costs),
        "missed": {name: costs[name] for name, limit in budgets.items() if costs[name] > limit * (1 + 1e-9)},
        "steps": [entry.facts() for entry in found.history],
    }


def print_quantized(console: Console, facts: dict[str, Any]) -> None:
    """Two tables: accuracy and mean error after every step; bits and the error after every step of every layer."""
    right = "" if facts["float_accuracy"] is None else f", float {facts['float_accuracy']:.2%}"
    rows = [
        [s["step"], _percent(s["accuracy"]), f"{s['mean_error']:.4f}", f"{s['seconds']:.1f}"] for s in facts["steps"]
    ]
    columns = ["step", "accuracy", "mean error", "seconds"]
    console.print(table(f"after each step{right}", columns, rows, columns[1:]))
    layers = list(facts["steps"][-1]["errors"]) if facts["steps"] else []
    names = [s["step"] for s in facts["steps"]]
    errors = [
        [layer, str(facts["weight_bits"][layer]), *(_error(s["errors"].get(layer)) for s in facts["steps"])]
        for layer in layers
    ]
    title = "squared error of each layer's output over its variance"
    console.print(table(title, ["name", "bits", *names], errors, ["bits", *names]))
    for name, value in facts["costs"].items():
        verdict = ", beyond its budget" if name in facts["missed"] else ""
        console.print(f"{name} {value:.6g}{verdict}", highlight=False, soft_wrap=True)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
