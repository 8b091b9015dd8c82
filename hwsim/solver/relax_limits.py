"""What would fit where nothing does: the smallest change of each limit alone, and of all jointly."""

from dataclasses import dataclass

import numpy as np

from hwsim.solver.problem import Floats, Indices, Problem, useful_columns
from hwsim.solver.pulp_backend import Program, Row, solve_program
from hwsim.solver.task import Task

SCALE = 1e4
"""What a limit is scaled to: solvers' tolerances are absolute."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """Limits under which something fits.

    limits : the changed limits; None where none was found
    choice : what then fits
    proven : whether less was proven not to do
    """

    limits: dict[str, float] | None
    picks: Indices | None
    proven: bool


def relax_one(task: Task, name: str, time_limit_s: float) -> Relaxed:
    """The least limit on `name` under which something keeps the other limits; no limits where they exclude all."""
    found = task.least(name).solve(time_limit_s)
    if found.picks is None:
        return Relaxed(None, None, found.status == "infeasible")
    return Relaxed({name: task.table.total(name, found.picks)}, found.picks, found.status == "optimal")


def relax_jointly(task: Task, time_limit_s: float) -> Relaxed:
    """The change of all limits together with the least sum of relative increases (absolute where a limit is 0)."""
    table, names = task.table, list(task.limits)
    columns = _worth_having(task, names)
    groups = np.searchsorted(table.starts, columns, side="right") - 1
    members = [np.flatnonzero(groups == group) for group in range(len(table.members))]
    rows: list[Row] = []
    for i, name in enumerate(names):
        size = SCALE / (abs(task.limits[name]) or 1.0)
        sums = members if name in table.peaks else [np.arange(len(columns))]
        cost, limit = table.numbers[name][columns] * size, task.limits[name] * size
        rows += [_row(part, cost[part], len(columns) + i, limit) for part in sums]
    objective = np.concatenate([np.zeros(len(columns)), np.ones(len(names))])
    answer = solve_program(Program(objective, members, rows, continuous=len(names)), task.solver, time_limit_s)
    if answer.x is None:
        return Relaxed(None, None, False)
    x = answer.x
    picks = np.array([columns[part[np.argmax(x[part])]] for part in members])
    totals = {name: table.total(name, picks) for name in names}
    changed = {name: total for name, total in totals.items() if total > task.limits[name]}
    return Relaxed(changed, picks, answer.status == "optimal")


def _row(columns: Indices, cost: Floats, extra: int, limit: float) -> Row:
    """Costs less the continuous column `extra` are at most `limit`."""
    return Row(np.append(columns, extra), np.append(cost, -1.0), limit)


def _worth_having(task: Task, names: list[str]) -> Indices:
    """The columns that are not worse than another one of their group in every limited number."""
    cost = np.array([task.table.numbers[name] for name in names])
    none = np.full(len(names), np.inf)
    kept = useful_columns(Problem(task.table.starts, np.zeros(cost.shape[1]), cost, none))
    assert kept is not None
    return kept
