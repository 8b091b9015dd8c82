"""The front of the degradation against one budget: exact points, and where uniform choices stand."""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import InputError
from hwsim.solver.problem import ROUNDING, Indices
from hwsim.solver.request import make_task
from hwsim.solver.search import Found
from hwsim.solver.solution import CLOSED
from hwsim.solver.task import Task

if TYPE_CHECKING:
    import pandas as pd

STEP = 1e-9
"""A budget is lowered relatively by this to ask for a cheaper answer that is as good."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A front: for budgets on the cost `over`, the least objective within them and within all other budgets.

    points : DataFrame, by rising cost: budget (the highest asked for), status, bound, degradation and every cost;
        a point with status "optimal" is proven to be on the front: nothing is as good and cheaper, or as cheap and
        better
    choices : {layer: choice} of each point
    uniform : DataFrame: choice (the same in all layers that have more than one), fits (the other budgets),
        degradation and every cost
    """

    over: str
    points: "pd.DataFrame"
    choices: Sequence[Mapping[Any, Any]]
    uniform: "pd.DataFrame"

    def facts(self) -> dict[str, Any]:
        """Everything, as lists and dictionaries."""
        rows = self.points.to_dict("records")
        points = [{**row, "choice": dict(choice)} for row, choice in zip(rows, self.choices, strict=True)]
        return {"over": self.over, "points": points, "uniform": self.uniform.to_dict("records")}


def sweep_table(
    table: "pd.DataFrame",
    over: str,
    budgets: Mapping[str, float] | None = None,
    *,
    points: int = 20,
    ties: Iterable[Sequence[Any]] = (),
    peaks: Iterable[str] = (),
    solver: str = "cbc",
    time_limit_s: float = 60.0,
    progress: Callable[[int], None] | None = None,
) -> Sweep:
    """Minimize the degradation under `points` budgets on the cost `over`, from the least possible to the most useful.

    budgets : of the other costs; one on `over` is where the sweep ends
    time_limit_s : of each single program
    progress : called with 1 for each budget done

    Each answer is then made as cheap as its degradation allows, so that points are few where the front has few.
    Raises InputError as `solve_table` does, and where nothing keeps the other budgets.
    """
    if points < 2:
        raise InputError(f"points is {points!r}; a sweep needs at least 2")
    task = make_task(table, {**(budgets or {}), over: 1.0}, ties, peaks, None, None, None, None, solver)
    task = task.within(budgets) if budgets and over in budgets else task.without(over)
    ends = task.least(over).solve(time_limit_s), task.solve(time_limit_s)
    if ends[0].picks is None or ends[1].picks is None:
        raise InputError("no choice keeps the other budgets; `solve_table` with the same budgets says what would")
    low, high = (task.table.total(over, found.picks) for found in ends if found.picks is not None)
    answers: list[tuple[float, Found]] = []
    for budget in np.linspace(high, low, points).tolist():
        if not answers or task.table.total(over, _picks(answers[-1][1])) > budget * (1 + ROUNDING):
            found = _cheapest(task, over, budget, time_limit_s)
            if found is not None:
                answers.append((budget, found))
        if progress is not None:
            progress(1)
    return _sweep(task, over, _front(task, over, answers))


def _cheapest(task: Task, over: str, budget: float, time_limit_s: float) -> Found | None:
    """The best answer within `budget`, and of equally good ones the cheapest."""
    best = task.within({over: budget}).solve(time_limit_s)
    while best.picks is not None and best.status == "optimal":
        lower = task.table.total(over, best.picks) * (1 - STEP)
        if not lower:
            return best
        cheaper = task.within({over: lower}).solve(time_limit_s)
        if cheaper.picks is None or task.worth(cheaper.picks) > task.worth(best.picks) + _small(task, best.picks):
            return best
        best = cheaper
    return best if best.picks is not None else None


def _small(task: Task, picks: Indices) -> float:
    return CLOSED * abs(task.worth(picks))


def _picks(found: Found) -> Indices:
    assert found.picks is not None
    return found.picks


def _front(task: Task, over: str, answers: list[tuple[float, Found]]) -> list[tuple[float, Found]]:
    """`answers` by rising cost, without those that cost no less and are no better than another."""
    kept: list[tuple[float, Found]] = []
    best = math.inf
    ranked = [(task.table.total(over, _picks(f)), task.worth(_picks(f)), i) for i, (_, f) in enumerate(answers)]
    for _, worth, i in sorted(ranked):
        budget, found = answers[i]
        if worth < best - _small(task, _picks(found)):
            kept.append((budget, found))
            best = worth
    return kept


def _sweep(task: Task, over: str, answers: list[tuple[float, Found]]) -> Sweep:
    import pandas as pd

    rows = [
        {"budget": budget, "status": found.status, "bound": found.bound, **_totals(task, _picks(found))}
        for budget, found in answers
    ]
    choices = [task.table.choice(_picks(found)) for _, found in answers]
    uniform = [
        {"choice": name, "fits": _fits(task, picks), **_totals(task, picks)} for name, picks in uniform_choices(task)
    ]
    columns = ["degradation", *task.table.costs]
    return Sweep(
        over,
        pd.DataFrame(rows, columns=["budget", "status", "bound", *columns]),
        choices,
        pd.DataFrame(uniform, columns=["choice", "fits", *columns]),
    )


def _totals(task: Task, picks: Indices) -> dict[str, float]:
    return {name: task.table.total(name, picks) for name in ("degradation", *task.table.costs)}


def _fits(task: Task, picks: Indices) -> bool:
    return all(task.table.total(name, picks) <= limit * (1 + ROUNDING) for name, limit in task.limits.items())


def uniform_choices(task: Task) -> list[tuple[Hashable, Indices]]:
    """Every choice that all groups have, with its columns; a group with a single choice keeps that one."""
    table = task.table
    found = []
    for name in dict.fromkeys(table.choices):
        picks = [_column(table.choices, a, b, name) for a, b in pairwise(table.starts.tolist())]
        if None not in picks:
            found.append((name, np.array(picks)))
    return found


def _column(choices: Sequence[Hashable], start: int, end: int, name: Hashable) -> int | None:
    """The column of the choice `name` from `start` to `end`; the only column where there is one."""
    if end - start == 1:
        return start
    return next((column for column in range(start, end) if choices[column] == name), None)
