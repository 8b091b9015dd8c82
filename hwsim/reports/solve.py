"""Choices for layers, on the terminal and as JSON."""

from math import isnan
from typing import TYPE_CHECKING, Any

from rich.console import Console

from hwsim.reports.console import Facts, table

if TYPE_CHECKING:
    import pandas as pd

    from hwsim.solver import Solution, Sweep
    from hwsim.solver.relax_limits import Relaxed


def solution_facts(solution: "Solution", prices: bool = True) -> Facts:
    """What `hwsim solve` says of an answer; asks for the prices, each another program, if `prices`."""
    joint = solution.joint_relaxation
    return {
        "status": solution.status,
        "objective": solution.objective,
        "value": solution.value,
        "bound": solution.bound,
        "gap": solution.gap,
        "degradation": solution.degradation,
        "costs": dict(solution.costs),
        "budgets": dict(solution.budgets),
        "slack": dict(solution.slack),
        "prices": dict(solution.prices) if prices else {},
        "marginal_prices": dict(solution.marginal_prices),
        "choice": {str(layer): choice for layer, choice in solution.choice.items()},
        "relaxations": {name: _relaxed_facts(relaxed) for name, relaxed in solution.relaxations.items()},
        "joint_relaxation": None if joint is None else _relaxed_facts(joint),
        "explanation": solution.explanation,
        "seconds": solution.seconds,
        "solver": solution.solver,
    }


def _relaxed_facts(relaxed: "Relaxed") -> Facts:
    return {"budgets": relaxed.limits, "proven": relaxed.proven}


def print_solution(console: Console, solution: "Solution", prices: bool = True) -> None:
    """`hwsim solve` for people."""
    console.print(f"{solution.status}, {solution.seconds:.2f} s, {solution.solver}", highlight=False, soft_wrap=True)
    console.print(solution.explanation, highlight=False, soft_wrap=True)
    if not solution.choice:
        return
    rows = list(solution.choice.items())
    console.print(table("choices", ["layer", "choice"], rows))
    bought = solution.prices if prices else {}
    budgets = [
        (
            name,
            _number(limit),
            _number(limit - solution.slack[name]),
            _number(solution.slack[name]),
            _number(solution.marginal_prices.get(name)),
            _number(bought.get(name)),
        )
        for name, limit in solution.budgets.items()
    ]
    if budgets:
        columns = ["budget", "limit", "used", "slack", "price, first order", "one unit more buys"]
        console.print(table(f"budgets; prices in {solution.objective}", columns, budgets, columns[1:]))
    totals = [("degradation", _number(solution.degradation)), *((k, _number(v)) for k, v in solution.costs.items())]
    console.print(table("totals", ["number", "total"], totals, ["total"]))


def _number(value: float | None) -> str:
    """Six digits; empty where there is none."""
    return "" if value is None or isnan(value) else f"{value:.6g}"


def print_sweep(console: Console, sweep: "Sweep") -> None:
    """The front for people."""
    console.print(_frame(f"front over {sweep.over}", sweep.points))
    if len(sweep.uniform):
        console.print(_frame("uniform choices", sweep.uniform))


def _frame(title: str, frame: "pd.DataFrame") -> Any:
    rows = [[_number(v) if isinstance(v, float) else v for v in row] for row in frame.itertuples(index=False)]
    names = [str(column) for column in frame.columns]
    return table(title, names, rows, [name for name in names if name not in ("choice", "status", "fits")])
