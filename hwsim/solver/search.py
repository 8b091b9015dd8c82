"""Solve a problem to proven optimality, or say how far from it the answer may be.

Most columns of a large problem cannot be in any optimal answer, and the linear relaxation proves it: an answer that
uses a column is worth the relaxation's bound plus the column's excess, or more (D. Pisinger, "A minimal algorithm for
the multiple-choice knapsack problem", 1995, calls what is left the core). So a small program over the columns of least
excess finds a good answer, and only if that leaves columns in doubt are those, and no others, put into a second one.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwsim.solver.problem import Floats, Indices, Problem, useful_columns
from hwsim.solver.pulp_backend import Program, Row, solve_program, timer
from hwsim.solver.relaxation import Relaxation, relax

CORE = 120
"""Columns beyond one a group in the first program."""

FIRST_SHARE = 0.4
"""Of the time allowed, how much the first program may take."""

MOST_RETRIES = 50
"""How many answers that a solver's tolerance let past a limit are excluded one by one."""

MOST_REPAIRS = 4
"""Changes for each group in mending an answer that misses a limit."""

SLACK = 1e-4
"""Added to each scaled row: CBC and HiGHS lose answers that meet a row to within their own, smaller tolerances.
Answers that need the slack are found out, and excluded one by one."""

SCALE = 1e5
"""What the largest coefficient of each row and of the objective is scaled to: solvers' tolerances are absolute."""


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search.

    status : "optimal", "infeasible", "time_limit", or "feasible" where the solver's tolerances hid the proof
    picks : int64, shape (groups,), columns of the problem; None where no answer was found
    bound : no answer is worth less; the worth of `picks` itself where that is optimal
    multipliers : float64, shape (limits,): of the linear relaxation; None where not known
    """

    status: str
    picks: Indices | None
    bound: float
    multipliers: Floats | None = None


INFEASIBLE = Found("infeasible", None, np.inf)


def search(problem: Problem, solver: str, time_limit_s: float) -> Found:
    """Solve `problem` with the PuLP solver called `solver`."""
    left = timer(time_limit_s)
    columns = useful_columns(problem)
    if columns is None:
        return INFEASIBLE
    reduced = problem.only(columns)
    relaxation = relax(reduced)
    if relaxation is None:
        return INFEASIBLE
    found = _free_optimum(reduced) or _search_core(reduced, relaxation, solver, left)
    if found.status == "time_limit" and found.picks is None:
        found = replace(found, picks=_repaired(reduced, relaxation))
    picks = None if found.picks is None else columns[found.picks]
    return Found(found.status, picks, found.bound, relaxation.multipliers)


def _free_optimum(problem: Problem) -> Found | None:
    """The answer where no limit binds: the least value of each group; None if that does not fit."""
    order = np.lexsort((problem.cost.sum(axis=0), problem.value, problem.group_of_column()))
    picks = order[problem.starts[:-1]]
    return Found("optimal", picks, problem.worth(picks)) if problem.fits(picks) else None


def _repaired(problem: Problem, relaxation: Relaxation) -> Indices | None:
    """Some answer where the solver found none: the least excess, changed where that most cheaply mends the limits."""
    group, reach = problem.group_of_column(), problem.reach()
    size = np.maximum(np.abs(reach), 1e-300)
    picks = np.lexsort((relaxation.excess, group))[problem.starts[:-1]]
    for _ in range(MOST_REPAIRS * problem.groups):
        if problem.fits(picks):
            return picks
        totals = problem.cost[:, picks].sum(axis=1)[:, None] - problem.cost[:, picks][:, group] + problem.cost
        missing = np.maximum(0.0, (totals - reach[:, None]) / size[:, None]).sum(axis=0)
        mended = missing[picks[0]] - missing  # the columns already taken change nothing
        price = np.maximum(0.0, relaxation.excess - relaxation.excess[picks][group]) + relaxation.allowance()
        best = int(np.argmax(mended / price))
        if mended[best] <= 0:
            return None
        picks[group[best]] = best
    return None


def _search_core(problem: Problem, relaxation: Relaxation, solver: str, left: Callable[[], float]) -> Found:
    """A program over the columns of least excess, then one over those that its answer leaves in doubt."""
    order = np.argsort(relaxation.excess, kind="stable")
    core = np.sort(order[: problem.groups + CORE])
    if len(core) == len(problem.value):
        return _better_bound(_solve_columns(problem, core, solver, left), relaxation.bound)
    short = timer(FIRST_SHARE * left())
    first = _solve_columns(problem, core, solver, short)
    outside = relaxation.bound + float(relaxation.excess[order[len(core)]]) - relaxation.allowance()
    if first.status == "optimal" and first.bound <= outside:
        return first
    bound = max(relaxation.bound, min(first.bound, outside))
    worth = np.inf if first.picks is None else problem.worth(first.picks)
    doubted = np.flatnonzero(relaxation.excess <= worth - relaxation.bound + relaxation.allowance())
    second = _solve_columns(problem, doubted, solver, left)
    if second.status == "optimal" or (second.status == "infeasible" and first.picks is None):
        return second
    bound = max(bound, min(second.bound, worth))
    if first.picks is not None and (second.picks is None or worth <= problem.worth(second.picks)):
        second = Found("time_limit", first.picks, bound)
    return _better_bound(second, bound)


def _better_bound(found: Found, bound: float) -> Found:
    """`found` with a `bound` that holds too, if that says more."""
    return found if found.status in ("optimal", "infeasible") else replace(found, bound=max(found.bound, bound))


def _solve_columns(problem: Problem, columns: Indices, solver: str, left: Callable[[], float]) -> Found:
    """Solve `problem` with the sorted `columns` alone, at least one of each group."""
    part = problem.only(columns)
    free = np.flatnonzero(np.diff(part.starts) > 1)
    if not len(free):
        return Found("optimal", columns, part.worth(part.starts[:-1])) if part.fits(part.starts[:-1]) else INFEASIBLE
    program, base, scale = _program(part, free)
    rows = list(program.rows)
    for _ in range(MOST_RETRIES):
        answer = solve_program(replace(program, rows=rows), solver, left())
        bound = base + answer.bound / scale
        if answer.x is None:
            return Found(answer.status, None, bound)
        picks = _picks(part, free, program, answer.x)
        if part.fits(picks):
            bound = part.worth(picks) if answer.status == "optimal" else min(bound, part.worth(picks))
            return Found(answer.status, columns[picks], bound)
        rows.append(_all_but(program, answer.x))
    return _solve_tightened(part, columns, program, solver, left, bound)


def _program(problem: Problem, free: Indices) -> tuple[Program, float, float]:
    """The program over the groups `free`, less what every answer has in common; worth = base + objective / scale."""
    group = problem.group_of_column()
    least, least_cost = problem.least(problem.value), problem.least(problem.cost)
    inside = np.flatnonzero(np.isin(group, free))
    value = (problem.value - least[group])[inside]
    cost = (problem.cost - least_cost[:, group])[:, inside]
    room = problem.reach() - np.array([math.fsum(row) for row in least_cost])
    scale = SCALE / (value.max(initial=0.0) or 1.0)
    groups = np.split(np.arange(len(inside)), np.flatnonzero(np.diff(group[inside])) + 1)
    most = problem.most(problem.cost - least_cost[:, group]).sum(axis=1)
    rows = []
    for costs, space in zip(cost[most > room], room[most > room], strict=True):
        size = SCALE / max(costs.max(), space)
        rows.append(Row(np.flatnonzero(costs), costs[costs != 0] * size, max(space, 0.0) * size + SLACK))
    return Program(value * scale, groups, rows), math.fsum(least), scale


def _picks(problem: Problem, free: Indices, program: Program, x: Floats) -> Indices:
    """The column of `problem` taken in each group by `x` over the groups `free`."""
    picks = problem.starts[:-1].copy()
    for place, group in zip(free, program.groups, strict=True):
        picks[place] += int(np.argmax(x[group]))
    return picks


def _all_but(program: Program, x: Floats) -> Row:
    """A row that excludes the answer `x` and nothing else."""
    taken = np.array([group[np.argmax(x[group])] for group in program.groups])
    return Row(taken, np.ones(len(taken)), len(taken) - 1.0)


def _solve_tightened(
    part: Problem, columns: Indices, program: Program, solver: str, left: Callable[[], float], bound: float
) -> Found:
    """The best answer that keeps every row by SLACK, where solvers keep finding ones that miss one by less."""
    rows = [replace(row, limit=row.limit - 2 * SLACK) for row in program.rows]
    answer = solve_program(replace(program, rows=rows), solver, left())
    if answer.x is None:
        return Found("time_limit", None, bound)
    picks = _picks(part, np.flatnonzero(np.diff(part.starts) > 1), program, answer.x)
    return Found("feasible", columns[picks], bound) if part.fits(picks) else Found("time_limit", None, bound)
