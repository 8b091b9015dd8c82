"""`hwsim.solver.solve_table`: the best choice for every layer from a table of degradations and costs."""

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwsim.errors import InputError
from hwsim.solver.pulp_backend import check_solver
from hwsim.solver.solution import Solution, solution
from hwsim.solver.table import read_table
from hwsim.solver.task import Task

if TYPE_CHECKING:
    import pandas as pd


def solve_table(
    table: "pd.DataFrame",
    budgets: Mapping[str, float] | None = None,
    *,
    ties: Iterable[Sequence[Any]] = (),
    peaks: Iterable[str] = (),
    minimize: str | None = None,
    maximize: str | None = None,
    max_degradation: float | None = None,
    weights: Mapping[str, float] | None = None,
    solver: str = "cbc",
    time_limit_s: float = 60.0,
) -> Solution:
    """Choose for every layer of `table` one of its choices: the least degradation within all budgets.

    table : one row for each layer and choice, with columns `layer`, `choice`, `degradation` and one for each cost
    budgets : {cost: limit}, each above 0, in the cost's own unit
    ties : sequences of layers that must take the same choice
    peaks : costs of which the largest over the layers counts (memory that is used again), not the sum
    minimize, maximize : a cost or gain to optimize instead of the degradation; with `max_degradation` and
        `maximize` this is AdaQuant's program (4a)-(4d), arXiv 2006.10518
    max_degradation : a limit on the degradation
    weights : {column: weight}, each weight at least 0: minimize the weighted sum instead; "degradation" is a column
    solver : "cbc", "highs", or PuLP's name of another solver on this machine
    time_limit_s : wall-clock limit, above 0; when it is over the answer has status "time_limit" and its proven gap

    Budgets are met up to 1e-12 of themselves. Among choices equal in degradation and every budgeted cost, the first in
    the table is taken.

    Raises InputError for a table, name or number that does not do.
    """
    task = make_task(table, budgets, ties, peaks, minimize, maximize, max_degradation, weights, solver)
    if not (isinstance(time_limit_s, (int, float)) and time_limit_s > 0):
        raise InputError(f"time_limit_s is {time_limit_s!r}; expected seconds above 0")
    start = time.monotonic()
    found = task.solve(time_limit_s)
    return solution(task, found, time.monotonic() - start, time_limit_s)


def make_task(
    table: "pd.DataFrame",
    budgets: Mapping[str, float] | None,
    ties: Iterable[Sequence[Any]],
    peaks: Iterable[str],
    minimize: str | None,
    maximize: str | None,
    max_degradation: float | None,
    weights: Mapping[str, float] | None,
    solver: str,
) -> Task:
    """The task that the arguments of `solve_table` describe, checked."""
    check_solver(solver)
    aim = _aim(minimize, maximize, weights)
    limits = _limits(budgets or {})
    read = read_table(table, {*aim, *limits}, ties, peaks)
    if len(aim) > 1 and (peak := sorted(read.peaks & aim.keys())):
        raise InputError(f"peak cost {peak[0]!r} cannot be in a weighted sum; give it a budget, or minimize it alone")
    if maximize in read.peaks:
        raise InputError(f"peak cost {maximize!r} cannot be maximized; give it a budget, or minimize it")
    if max_degradation is not None:
        limits["degradation"] = _number("max_degradation", max_degradation)
    return Task(read, aim, limits, solver)


def _aim(minimize: str | None, maximize: str | None, weights: Mapping[str, float] | None) -> dict[str, float]:
    """The weight of each column in what is minimized."""
    given = [name for name, value in (("minimize", minimize), ("maximize", maximize), ("weights", weights)) if value]
    if len(given) > 1:
        raise InputError(f"{given[0]} and {given[1]} are both given; choose one")
    if maximize:
        return {maximize: -1.0}
    if not weights:
        return {minimize or "degradation": 1.0}
    for name, weight in weights.items():
        if _number(f"weight of {name!r}", weight) < 0:
            raise InputError(f"weight of {name!r} is {weight!r}; expected at least 0")
    return {name: float(weight) for name, weight in weights.items() if weight} or {"degradation": 1.0}


def _limits(budgets: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(budgets, Mapping):
        raise InputError(f"budgets is {budgets!r}; expected {{cost: limit}}")
    for name, limit in budgets.items():
        if name == "degradation":
            raise InputError("degradation is bounded by max_degradation, not by a budget")
        if _number(f"budget {name!r}", limit) <= 0:
            raise InputError(f"budget {name!r} is {limit!r}; expected a number above 0")
    return {name: float(limit) for name, limit in budgets.items()}


def _number(what: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, (str, bool)):
        raise InputError(f"{what} is {value!r}; expected a finite number")
    return number
