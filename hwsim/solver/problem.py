"""A multiple-choice knapsack as arrays: take one column of each group, cheapest in value, within every limit.

A column is a choice for a group of tied layers. All columns lie flat, group after group.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

ROUNDING = 1e-12
"""A total fits a limit up to this relative amount: sums of decimal fractions in float64 are that inexact."""

MOST_COMPARED = 512
"""Groups with more columns than this are not searched for dominated ones: comparing all pairs would take too long."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Minimize the value of the columns taken, one of each group, with every cost within its limit.

    starts : int64, shape (groups + 1,): group g has columns starts[g] to starts[g + 1] - 1
    value : float64, shape (columns,): what is minimized
    cost : float64, shape (limits, columns), at least 0 or any finite number where a value is bounded
    limit : float64, shape (limits,)
    """

    starts: Indices
    value: Floats
    cost: Floats
    limit: Floats

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.starts) - 1

    def group_of_column(self) -> Indices:
        """The group of each column, int64, shape (columns,)."""
        return np.repeat(np.arange(self.groups), np.diff(self.starts))

    def least(self, numbers: Floats) -> Floats:
        """The smallest of `numbers`, shape (..., columns), in each group."""
        return np.asarray(np.minimum.reduceat(numbers, self.starts[:-1], axis=-1))

    def most(self, numbers: Floats) -> Floats:
        """The largest of `numbers`, shape (..., columns), in each group."""
        return np.asarray(np.maximum.reduceat(numbers, self.starts[:-1], axis=-1))

    def worth(self, picks: Indices) -> float:
        """The total value of `picks`, one column of each group."""
        return math.fsum(self.value[picks])

    def fits(self, picks: Indices) -> bool:
        """Whether `picks` keeps every limit, up to ROUNDING."""
        totals = [math.fsum(row) for row in self.cost[:, picks]]
        return all(total <= reach for total, reach in zip(totals, self.reach(), strict=True))

    def reach(self) -> Floats:
        """The limits with ROUNDING allowed for."""
        return self.limit + ROUNDING * np.abs(self.limit)

    def only(self, columns: Indices) -> "Problem":
        """The same problem with the sorted `columns` alone, at least one of each group."""
        kept = np.bincount(self.group_of_column()[columns], minlength=self.groups)
        starts = np.concatenate([[0], np.cumsum(kept)])
        return Problem(starts, self.value[columns], self.cost[:, columns], self.limit)


def useful_columns(problem: Problem) -> Indices | None:
    """The columns that an optimal answer may need, sorted; None where no answer keeps the limits.

    Left out are columns too costly whatever the other groups take, and those with an equal or better one in value and
    every cost (of equal ones the first stays). Both leave the optimum as it is.
    """
    least = problem.least(problem.cost)
    room = problem.reach() - np.array([math.fsum(row) for row in least]).reshape(-1)
    slop = ROUNDING * (np.abs(problem.limit) + np.abs(least).sum(axis=1))
    if np.any(room < -slop):
        return None
    above = problem.cost - least[:, problem.group_of_column()]
    possible = np.all(above <= (room + slop)[:, None], axis=0)
    if not np.logical_or.reduceat(possible, problem.starts[:-1]).all():
        return None
    numbers = np.concatenate([problem.value[None], problem.cost])
    kept = [
        first + _undominated(numbers[:, first:end], possible[first:end])
        for first, end in zip(problem.starts[:-1], problem.starts[1:], strict=True)
    ]
    return np.concatenate(kept)


def _undominated(numbers: Floats, possible: NDArray[np.bool_]) -> Indices:
    """Which columns of `numbers`, shape (criteria, columns), are possible and not beaten by another possible one."""
    columns = np.flatnonzero(possible)
    if len(columns) > MOST_COMPARED:
        return columns
    candidates = numbers[:, columns]
    as_good = np.all(candidates[:, :, None] <= candidates[:, None, :], axis=0)
    first = np.arange(len(columns))[:, None] < np.arange(len(columns))[None, :]
    beaten = as_good & (~as_good.T | first)
    return np.asarray(columns[~beaten.any(axis=0)])
