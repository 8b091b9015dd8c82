"""Write the measured tables of docs/solver.md: HAWQ-V3's published bit-widths held against ours, and how fast we prove.

    python scripts/hawq.py [--network resnet50] [--table scripts/hawq_resnet50.csv]

The table holds, as published in github.com/Zhen-Dong/HAWQ (ILP.ipynb, bit_config.py), each layer's latency
on a T4, bytes and bit-operations in 4 and 8 bits with its sensitivity (Hessian trace times squared weight error), and
the bit-widths that HAWQ-V3's own integer program chose. Everything else on the page is measured when the script runs.
"""

import argparse
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hwsim.reports.markdown import table
from hwsim.reports.terminal import native_output_to_stderr
from hwsim.solver import Solution, solve_table
from hwsim.verify.machine import this_machine

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "solver.md"
FACTS = ROOT / "scripts" / "hawq_resnet50.csv"
COSTS = {"modelsize": "size_bytes", "bops": "bops_G", "latency": "latency_ms"}
SOLVERS = ("cbc", "highs")
LAYERS, CHOICES = 500, 25
EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class Published:
    """A published configuration: its name, and the bits of every layer in order."""

    name: str
    bits: dict[str, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A published configuration beside the proven optimum of the same program."""

    published: Published
    cost: str
    limit: float
    used: float
    degradation: float
    ours: Solution

    @property
    def differing(self) -> list[str]:
        """The layers that ours gives other bits."""
        return [layer for layer, bits in self.ours.choice.items() if bits != self.published.bits[layer]]

    @property
    def verdict(self) -> str:
        """In words."""
        if not self.differing:
            return "the same bits, proven optimal"
        if abs(self.ours.degradation - self.degradation) <= EQUAL * self.degradation:
            return f"as good, {len(self.differing)} layers differ, proven optimal"
        return f"beaten by {1 - self.ours.degradation / self.degradation:.1%} with {len(self.differing)} layer changed"


def read_facts(file: Path, network: str) -> tuple[pd.DataFrame, list[Published]]:
    """HAWQ's table of `network` as `solve_table` takes it, and its published configurations."""
    facts = pd.read_csv(file)
    facts = facts[facts["network"] == network]
    layers = facts[facts["record"] == "ilp_layer"].astype({"bits": int})
    costs = layers[["layer", "bits", "sensitivity", *COSTS.values()]]
    costs = costs.rename(columns={"bits": "choice", "sensitivity": "degradation"}).reset_index(drop=True)
    names = list(dict.fromkeys(costs["layer"]))
    configurations = []
    for text in facts.loc[facts["record"] == "bit_config_solution", "bits"]:
        name, digits = text.split(":")
        configurations.append(Published(name, dict(zip(names, map(int, digits), strict=True))))
    return costs, configurations


def find_ties(layers: list[str]) -> list[tuple[str, str]]:
    """HAWQ's ties: a unit's convolution on the identity has the bits of its first one."""
    identities = [layer for layer in layers if layer.endswith("quant_identity_convbn")]
    return [(layer.replace("quant_identity_convbn", "quant_convbn1"), layer) for layer in identities]


def find_limit(costs: pd.DataFrame, cost: str, fraction: float) -> float:
    """HAWQ's limit: the 4-bit total and `fraction` of the way from there to the 8-bit total."""
    totals = costs.groupby("choice")[cost].sum()
    return float(totals[4] + (totals[8] - totals[4]) * fraction)


def compare(costs: pd.DataFrame, published: Published, solver: str) -> Iterator[Comparison]:
    """`published` against the optimum of HAWQ's program; a uniform configuration against each of its own costs."""
    ties = find_ties(list(published.bits))
    taken = costs[costs["choice"] == costs["layer"].map(published.bits)]
    kind, _, fraction = published.name.rpartition("_")
    limits = {COSTS[kind]: find_limit(costs, COSTS[kind], float(fraction))} if kind else taken[[*COSTS.values()]].sum()
    for cost, limit in limits.items():
        ours = solve_table(costs, {cost: float(limit)}, ties=ties, solver=solver)
        used, degradation = float(taken[cost].sum()), float(taken["degradation"].sum())
        yield Comparison(published, cost, float(limit), used, degradation, ours)


def hawq_rows(costs: pd.DataFrame, configurations: list[Published]) -> Iterator[list[str]]:
    """One row for each published configuration and cost; both solvers have to agree."""
    for published in configurations:
        for one, other in zip(*(compare(costs, published, solver) for solver in SOLVERS), strict=True):
            if abs(one.ours.degradation - other.ours.degradation) > EQUAL:
                raise SystemExit(f"{published.name}: {SOLVERS[0]} and {SOLVERS[1]} disagree")
            numbers = [one.limit, one.used, one.ours.costs[one.cost]]
            digits = [f"{one.degradation:.9f}", f"{one.ours.degradation:.9f}", f"{one.ours.bound:.9f}"]
            yield [published.name, one.cost, *(f"{n:.9g}" for n in numbers), *digits, one.ours.status, one.verdict]


def random_table(budgets: int, seed: int) -> tuple[pd.DataFrame, dict[str, float]]:
    """Random numbers of LAYERS layers and CHOICES choices, and budgets a third of the way to the mean."""
    rng = np.random.default_rng(seed)
    numbers = rng.random((LAYERS, CHOICES, budgets + 1))
    names = ["degradation", *(f"cost_{i}" for i in range(budgets))]
    costs = pd.DataFrame(numbers.reshape(-1, budgets + 1), columns=names)
    costs.insert(0, "layer", np.repeat([f"layer{i}" for i in range(LAYERS)], CHOICES))
    costs.insert(1, "choice", np.tile(np.arange(CHOICES), LAYERS))
    least, mean = numbers.min(axis=1).sum(axis=0), numbers.mean(axis=1).sum(axis=0)
    share = 0.3 if budgets < 3 else 0.6
    return costs, {name: float((least + share * (mean - least))[1 + i]) for i, name in enumerate(names[1:])}


def speed_rows(seeds: int, time_limit_s: float) -> Iterator[list[str]]:
    """How long the answer took, budgets by seeds by solvers; the last rows run into the time limit."""
    for budgets, count in ((1, 1), (2, seeds), (5, 1)):
        for seed in range(count):
            costs, limits = random_table(budgets, seed)
            for solver in SOLVERS:
                start = time.monotonic()
                answer = solve_table(costs, limits, solver=solver, time_limit_s=time_limit_s)
                took = time.monotonic() - start
                gap = "0" if answer.status == "optimal" else f"{answer.gap:.3%}"
                yield [str(budgets), str(seed), solver, answer.status, f"{answer.value:.9f}", gap, f"{took:.2f}"]


def main() -> None:
    """Solve everything, then write the tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", type=Path, default=FACTS, help="a CSV with the columns of scripts/hawq_resnet50.csv")
    parser.add_argument("--network", default="resnet50", help="of the table")
    parser.add_argument("--seeds", type=int, default=5, help="random tables with two budgets")
    parser.add_argument("--time-limit", type=float, default=20.0, help="seconds for each program")
    options = parser.parse_args()
    with native_output_to_stderr():
        rows = list(hawq_rows(*read_facts(options.table, options.network)))
        load = os.getloadavg()[0]
        speeds = list(speed_rows(options.seeds, options.time_limit))
    columns = ["published", "budget on", "limit", "published uses", "ours uses"]
    columns += ["published degradation", "ours", "proven bound", "status", "verdict"]
    write("hawq", table(columns, rows))
    speed = ["budgets", "seed", "solver", "status", "degradation", "gap", "seconds"]
    machine = this_machine()
    head = f"{machine.processor}, {machine.cores} cores, load average {load:.1f}; time limit {options.time_limit:g} s."
    write("speed", f"{head}\n\n{table(speed, speeds)}")


def write(name: str, text: str) -> None:
    """Put `text` between the marks called `name` of the page."""
    marks = re.compile(rf"(<!-- {name}: written by scripts/hawq.py -->\n).*?(<!-- end -->)", re.DOTALL)
    page, count = marks.subn(lambda found: f"{found[1]}{text}\n{found[2]}", PAGE.read_text())
    if count != 1:
        raise SystemExit(f"{PAGE} has no marks for {name!r}")
    temporary = PAGE.with_suffix(".part")
    temporary.write_text(page)
    temporary.replace(PAGE)


if __name__ == "__main__":
    main()
