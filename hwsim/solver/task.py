"""What is asked of a table: what to minimize, within which limits; and the answer as columns of the table."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hwsim.solver.problem import Indices
from hwsim.solver.pulp_backend import timer
from hwsim.solver.search import Found, search
from hwsim.solver.table import Table


@dataclass(frozen=True, slots=True)
class Task:
    """Minimize the weighted sum of the numbers named in `weights`, each number in `limits` kept at most there.

    A peak cost may stand in `weights` only alone. `solver` is one that `pulp_backend.check_solver` accepts.
    """

    table: Table
    weights: Mapping[str, float]
    limits: Mapping[str, float]
    solver: str

    def worth(self, picks: Indices) -> float:
        """The weighted sum that `picks` gives."""
        return sum(weight * self.table.total(name, picks) for name, weight in self.weights.items())

    def within(self, changed: Mapping[str, float]) -> "Task":
        """The same task with some limits changed or added."""
        return replace(self, limits={**self.limits, **changed})

    def without(self, name: str) -> "Task":
        """The same task without the limit on `name`."""
        return replace(self, limits={key: limit for key, limit in self.limits.items() if key != name})

    def least(self, name: str) -> "Task":
        """The task of making the number `name` as small as the other limits allow."""
        return replace(self.without(name), weights={name: 1.0})

    def solve(self, time_limit_s: float) -> Found:
        """The answer, its picks being columns of the table."""
        peak = next((name for name in self.weights if name in self.table.peaks), None)
        return self._lower_peak(peak, time_limit_s) if peak else self._search(self.weights, time_limit_s)

    def _search(self, weights: Mapping[str, float], time_limit_s: float) -> Found:
        posed = self.table.problem(weights, self.limits)
        if posed is None:
            return Found("infeasible", None, np.inf)
        problem, columns = posed
        found = search(problem, self.solver, time_limit_s)
        return found if found.picks is None else replace(found, picks=columns[found.picks])

    def _lower_peak(self, peak: str, time_limit_s: float) -> Found:
        """The least limit on `peak` that leaves an answer, by halving the table's own numbers."""
        left = timer(time_limit_s)
        best = self._search({}, left())
        if best.picks is None:
            return best
        levels = np.unique(self.table.numbers[peak])
        low, high = 0, int(np.searchsorted(levels, self.table.total(peak, best.picks)))
        while low < high:
            middle = (low + high) // 2
            found = self.within({peak: float(levels[middle])})._search({}, left())
            if found.picks is not None:
                best, high = found, int(np.searchsorted(levels, self.table.total(peak, found.picks)))
            elif found.status == "infeasible":
                low = middle + 1
            else:
                return Found("time_limit", best.picks, float(levels[low]))
        return Found("optimal", best.picks, self.table.total(peak, _picked(best)))


def _picked(found: Found) -> Indices:
    assert found.picks is not None
    return found.picks
