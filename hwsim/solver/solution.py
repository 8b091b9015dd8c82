"""The answer to a task, with what it leaves, what more would buy, and why there is none."""

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hwsim.solver.pulp_backend import solver_version
from hwsim.solver.relax_limits import Relaxed, relax_jointly, relax_one
from hwsim.solver.search import Found
from hwsim.solver.task import Task

CLOSED = 1e-9
"""Two answers whose worths differ relatively by less are equally good."""


@dataclass(frozen=True)
class Solution:
    """The answer to a task.

    status : "optimal" (proven); "infeasible" (proven: no choice keeps the budgets); "time_limit" (the time was over:
        `choice` holds the best found, if any, and `gap` how far from the optimum it may be); "feasible" (an answer
        whose optimality the solver's tolerances did not let it prove)
    choice : {layer: choice}, empty where nothing was found
    degradation : of all layers together; nan where nothing was found
    costs : of all layers together, by name: the sum, or of a peak cost the largest
    budgets : the limits; one on the degradation is called "degradation"
    slack : what is left of each budget
    objective : what was minimized or maximized, as text
    value : the objective's value
    bound : no choice has a better value
    gap : |value - bound| / |value|; 0.0 where optimal, inf where nothing was found
    marginal_prices : what one more unit of each budget would buy of the objective in the linear relaxation, to first
        order; empty where infeasible or where a peak cost is minimized
    seconds : the time it took
    solver : who solved it, with version
    """

    status: str
    choice: Mapping[Any, Any]
    degradation: float
    costs: Mapping[str, float]
    budgets: Mapping[str, float]
    slack: Mapping[str, float]
    objective: str
    value: float
    bound: float
    gap: float
    marginal_prices: Mapping[str, float]
    seconds: float
    solver: str
    task: Task
    time_limit_s: float

    @cached_property
    def prices(self) -> Mapping[str, float | None]:
        """What one more unit of each budget buys of the objective, exactly: the task is solved again with budget + 1.

        None where this answer or that one is not proven optimal. Solved on first use, each within the time limit.
        """
        return {name: self._price(name, limit) for name, limit in self.budgets.items()}

    def _price(self, name: str, limit: float) -> float | None:
        if self.status != "optimal":
            return None
        found = self.task.within({name: limit + 1.0}).solve(self.time_limit_s)
        if found.status != "optimal" or found.picks is None:
            return None
        return max(0.0, abs(self.value - _sign(self.task) * self.task.worth(found.picks)))

    @cached_property
    def relaxations(self) -> Mapping[str, Relaxed]:
        """For an infeasible task, the least budget of each that lets something fit, the others kept; else empty."""
        if self.status != "infeasible":
            return {}
        return {name: relax_one(self.task, name, self.time_limit_s) for name in self.budgets}

    @cached_property
    def joint_relaxation(self) -> Relaxed | None:
        """For an infeasible task, the budgets that let something fit for the least sum of relative increases."""
        return relax_jointly(self.task, self.time_limit_s) if self.status == "infeasible" else None

    @property
    def explanation(self) -> str:
        """What came out, in sentences; for an infeasible task, what would make it feasible."""
        if self.status == "infeasible":
            return "\n".join(self._why_infeasible())
        if not self.choice:
            return f"Nothing was found in {self.seconds:.1f} s, and not proven that there is nothing; allow more time."
        proof = {
            "optimal": "It is proven that no choice does better.",
            "time_limit": f"The time was over: nothing does better than {self.bound:.6g}, a gap of {self.gap:.2%}.",
            "feasible": f"Not proven within the solver's tolerances: the gap is {self.gap:.1e}.",
        }
        return f"{self.objective}: {self.value:.6g}. {proof[self.status]}"

    def _why_infeasible(self) -> list[str]:
        lines = [f"No choice keeps {_and([f'{k} <= {v:g}' for k, v in self.budgets.items()])}."]
        for name, relaxed in self.relaxations.items():
            if relaxed.limits is None:
                done = "no value would do while the others stay" if relaxed.proven else "nothing was found in time"
                lines.append(f"{name} alone: {done}.")
            else:
                lines.append(f"{name} alone: {_needs(relaxed, self.budgets)}.")
        joint = self.joint_relaxation
        if joint is not None and joint.limits is not None and len(self.budgets) > 1:
            lines.append(f"Jointly: {_needs(joint, self.budgets)}.")
        return lines


def _needs(relaxed: Relaxed, budgets: Mapping[str, float]) -> str:
    """The limits of `relaxed` in words."""
    assert relaxed.limits is not None
    least = "" if relaxed.proven else " would do (less was not excluded in the time)"
    return (
        _and([f"{name} >= {limit:.9g}{_percent(limit, budgets[name])}" for name, limit in relaxed.limits.items()])
        + least
    )


def _percent(limit: float, budget: float) -> str:
    return f" (+{(limit - budget) / abs(budget):.2%})" if budget else ""


def _and(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else "".join(parts)


def _sign(task: Task) -> int:
    """-1 where the task maximizes: its one weight is negative then."""
    return -1 if any(weight < 0 for weight in task.weights.values()) else 1


def solution(task: Task, found: Found, seconds: float, time_limit_s: float) -> Solution:
    """What `found` means for `task`."""
    sign, picks = _sign(task), found.picks
    names = ["degradation", *task.table.costs]
    totals = {name: math.nan if picks is None else task.table.total(name, picks) for name in names}
    worth = math.nan if picks is None else task.worth(picks)
    bound = worth if found.status == "optimal" else found.bound
    gap = 0.0 if found.status == "optimal" else math.inf if picks is None else _gap(worth, bound)
    choice: Mapping[Hashable, Hashable] = {} if picks is None else task.table.choice(picks)
    return Solution(
        status=found.status,
        choice=choice,
        degradation=totals.pop("degradation"),
        costs=totals,
        budgets=dict(task.limits),
        slack={
            name: limit - (math.nan if picks is None else task.table.total(name, picks))
            for name, limit in task.limits.items()
        },
        objective=_objective(task),
        value=sign * worth,
        bound=sign * bound,
        gap=gap,
        marginal_prices=_marginal(task, found),
        seconds=seconds,
        solver=solver_version(task.solver),
        task=task,
        time_limit_s=time_limit_s,
    )


def _gap(worth: float, bound: float) -> float:
    return abs(worth - bound) / abs(worth) if worth else (0.0 if worth == bound else math.inf)


def _objective(task: Task) -> str:
    terms = [(name if abs(w) == 1 else f"{abs(w):g} {name}") for name, w in task.weights.items()]
    return f"{'maximal' if _sign(task) < 0 else 'minimal'} {' + '.join(terms)}"


def _marginal(task: Task, found: Found) -> dict[str, float]:
    """The relaxation's multipliers by budget; 0.0 for a peak cost, of which a little more buys nothing."""
    if found.multipliers is None:
        return {}
    added = [name for name in task.limits if name not in task.table.peaks]
    prices = dict(zip(added, map(float, found.multipliers), strict=True))
    return {name: prices.get(name, 0.0) for name in task.limits}
