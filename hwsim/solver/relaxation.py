"""The linear relaxation of a problem: a lower bound that holds, and how far each column stands from it."""

import math
from dataclasses import dataclass

import numpy as np

from hwsim.solver.problem import Floats, Problem

MARGIN = 1e-11
"""Reduced values are compared with this relative allowance for rounding."""


@dataclass(frozen=True, slots=True)
class Relaxation:
    """What the multipliers of the linear relaxation say.

    multipliers : float64, shape (limits,), at least 0: value bought by one more unit of each limit, in the relaxation
    bound : no answer is worth less than this
    excess : float64, shape (columns,), at least 0: an answer with this column is worth bound + excess or more
    """

    multipliers: Floats
    bound: float
    excess: Floats

    def allowance(self) -> float:
        """How far rounding may carry `bound` and `excess`."""
        return MARGIN * max(1e-300, abs(self.bound), float(self.excess.max(initial=0.0)))


def relax(problem: Problem) -> Relaxation | None:
    """The relaxation of `problem`; None where even that is infeasible.

    The multipliers come from HiGHS's dual solution; bound and excess are then computed from them by Lagrange, so they
    hold whatever the multipliers: sum over groups of min(value + multipliers . cost) - multipliers . limit.
    """
    multipliers = _multipliers(problem) if len(problem.limit) else np.zeros(0)
    if multipliers is None:
        return None
    priced = problem.value + multipliers @ problem.cost
    least = problem.least(priced)
    bound = math.fsum([*least, *(-multipliers * problem.reach())])
    return Relaxation(multipliers, bound, priced - least[problem.group_of_column()])


def _multipliers(problem: Problem) -> Floats | None:
    """The dual values of the limits in the linear relaxation; None where it is infeasible."""
    from scipy.optimize import linprog
    from scipy.sparse import csr_array

    columns = len(problem.value)
    one_each = csr_array((np.ones(columns), (problem.group_of_column(), np.arange(columns))))
    least_cost, least_value = problem.least(problem.cost), problem.least(problem.value)
    group = problem.group_of_column()
    cost, value = problem.cost - least_cost[:, group], problem.value - least_value[group]
    room = problem.reach() - least_cost.sum(axis=1)
    cost_scale = np.maximum(np.maximum(np.abs(cost).max(axis=1, initial=0.0), np.abs(room)), 1e-300)
    value_scale = max(float(value.max(initial=0.0)), 1e-300)
    answer = linprog(
        value / value_scale,
        A_ub=cost / cost_scale[:, None],
        b_ub=np.maximum(room, 0.0) / cost_scale,
        A_eq=one_each,
        b_eq=np.ones(problem.groups),
        method="highs",
    )
    if answer.status == 2:
        return None
    if answer.status != 0:
        return np.zeros(len(problem.limit))
    duals = np.maximum(0.0, -np.asarray(answer.ineqlin.marginals, dtype=np.float64))
    return np.asarray(duals * value_scale / cost_scale, dtype=np.float64)
