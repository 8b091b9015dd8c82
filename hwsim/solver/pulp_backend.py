"""Programs of 0-1 columns, written in PuLP and handed to a solver of PuLP's; the only file that imports pulp.

"cbc" is the CBC that PuLP brings. "highs" is the HiGHS that scipy brings, made a PuLP solver here. Any other solver
that PuLP finds on the machine goes by PuLP's name for it.
"""

import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pulp

from hwsim.errors import InputError, unknown
from hwsim.solver.problem import Floats, Indices

HIGHS_FAILED = 4
"""scipy's status for "Solve error" and other failures."""

CBC_DIGIT = 1e-3
"""CBC prints its bound with three digits."""


@dataclass(frozen=True, slots=True)
class Row:
    """A linear row: the sum of coefficients times columns is at most `limit`."""

    columns: Indices
    coefficients: Floats
    limit: float


@dataclass(frozen=True, slots=True)
class Program:
    """Minimize objective . x with rows kept; x is 0 or 1, and at least 0 in the last `continuous` columns.

    groups holds the columns of which exactly one is 1, for each group.
    """

    objective: Floats
    groups: Sequence[Indices]
    rows: Sequence[Row]
    continuous: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a solver said: "optimal", "infeasible" or "time_limit"; values (None if it found none); a bound."""

    status: str
    x: Floats | None
    bound: float


def solver_names() -> list[str]:
    """What `solve_program` accepts: "cbc", "highs", and PuLP's other solvers on this machine."""
    with _quiet():
        found = pulp.listSolvers(onlyAvailable=True)
    return ["cbc", "highs", *(name for name in found if name not in ("PULP_CBC_CMD", "HiGHS"))]


def check_solver(solver: str) -> None:
    """Raise InputError unless `solver` is one of `solver_names()`; cheap for the two that are always there."""
    if solver not in ("cbc", "highs") and solver not in (known := solver_names()):
        raise InputError(unknown("solver", solver, known))


def solver_version(solver: str) -> str:
    """`solver` with where it comes from and the version of that package."""
    if solver == "highs":
        import scipy

        return f"highs (scipy {scipy.__version__})"
    return f"{solver} (PuLP {pulp.__version__})"


def solve_program(program: Program, solver: str, time_limit_s: float) -> Answer:
    """Solve `program` to a gap of zero, as far as `solver`'s own tolerances go, or until the time is over."""
    with _quiet():
        problem, variables = _written(program)
        if solver == "highs":
            return _solve_highs(problem, variables, time_limit_s)
        if solver == "cbc":
            return _solve_cbc(problem, variables, time_limit_s)
        options = {"msg": False, "timeLimit": time_limit_s, "gapRel": 0.0}
        problem.solve(pulp.getSolver(solver, **options))
        return _read(problem, variables, lambda: -np.inf)


def _written(program: Program) -> tuple[pulp.LpProblem, list[pulp.LpVariable]]:
    problem = pulp.LpProblem("choices", pulp.LpMinimize)
    last = len(program.objective) - program.continuous
    variables = [
        pulp.LpVariable(f"x{i:06d}", 0, 1 if i < last else None, pulp.LpInteger if i < last else pulp.LpContinuous)
        for i in range(len(program.objective))
    ]
    problem += _sum(variables, range(len(variables)), program.objective)
    for group in program.groups:
        problem += _sum(variables, group, np.ones(len(group))) == 1
    for row in program.rows:
        problem += _sum(variables, row.columns, row.coefficients) <= row.limit
    return problem, variables


def _sum(variables: list[pulp.LpVariable], columns: Any, coefficients: Floats) -> pulp.LpAffineExpression:
    terms = ((variables[i], float(c)) for i, c in zip(columns, coefficients, strict=True) if c)
    return pulp.LpAffineExpression(list(terms))


def _read(problem: pulp.LpProblem, variables: list[pulp.LpVariable], bound: Callable[[], float]) -> Answer:
    """The answer in a solved PuLP problem; `bound` is asked for only where the optimum was not proven."""
    if problem.sol_status == pulp.LpSolutionInfeasible or problem.status == pulp.LpStatusInfeasible:
        return Answer("infeasible", None, np.inf)
    found = problem.sol_status in (pulp.LpSolutionOptimal, pulp.LpSolutionIntegerFeasible)
    x = np.array([variable.varValue or 0.0 for variable in variables]) if found else None
    if problem.sol_status == pulp.LpSolutionOptimal:
        return Answer("optimal", x, float(pulp.value(problem.objective) or 0.0))
    return Answer("time_limit", x, bound())


def _solve_cbc(problem: pulp.LpProblem, variables: list[pulp.LpVariable], time_limit_s: float) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "cbc.log"
        limit = max(time_limit_s, 0.01)
        # Measured on knapsacks of 500 groups: without its cuts CBC proves them two to five times as fast.
        cbc = pulp.PULP_CBC_CMD(msg=False, timeLimit=limit, gapRel=0.0, gapAbs=0.0, cuts=False, logPath=str(log))
        cbc.tmpDir = folder
        problem.solve(cbc)
        return _read(problem, variables, lambda: _cbc_bound(log.read_text()))


def _cbc_bound(log: str) -> float:
    """The lower bound that CBC prints when it stops early; minus infinity where it prints none."""
    found = re.findall(r"^Lower bound:\s+(\S+)$", log, re.MULTILINE)
    return float(found[-1]) - CBC_DIGIT if found else -np.inf


def _solve_highs(problem: pulp.LpProblem, variables: list[pulp.LpVariable], time_limit_s: float) -> Answer:
    highs = ScipyHighs(time_limit_s)
    problem.solve(highs)
    return _read(problem, variables, lambda: highs.bound)


class ScipyHighs(pulp.LpSolver):  # type: ignore[misc]
    """scipy's HiGHS (`scipy.optimize.milp`) as a solver for PuLP's problems of variables that are at least 0."""

    name = "ScipyHighs"

    def __init__(self, time_limit_s: float):
        super().__init__(msg=False, timeLimit=time_limit_s)
        self.bound = -np.inf

    def available(self) -> bool:
        """Whether it can run: scipy is always there."""
        return True

    def actualSolve(self, lp: pulp.LpProblem) -> int:  # noqa: N802 - PuLP's name
        """Solve `lp`, store its values in its variables, its status in `lp` and HiGHS's bound in `self.bound`."""
        from scipy.optimize import Bounds, milp

        variables = lp.variables()
        place = {variable.name: i for i, variable in enumerate(variables)}
        objective = np.zeros(len(variables))
        for variable, coefficient in lp.objective.items():
            objective[place[variable.name]] = coefficient
        upper = [np.inf if v.upBound is None else v.upBound for v in variables]
        options = {"mip_rel_gap": 0.0, "time_limit": max(self.timeLimit, 0.01)}
        program = {
            "constraints": _scipy_rows(lp, place),
            "integrality": np.array([v.cat == pulp.LpInteger for v in variables], dtype=np.int64),
            "bounds": Bounds(0.0, upper),
        }
        found = milp(objective, **program, options=options)
        if found.status == HIGHS_FAILED:  # seen in presolve, on three columns and four rows
            found = milp(objective, **program, options={**options, "presolve": False})
        if found.x is not None:
            lp.assignVarsVals({v.name: float(value) for v, value in zip(variables, found.x, strict=True)})
        if found.get("mip_dual_bound") is not None:
            self.bound = float(found.mip_dual_bound)
        status, solution = _scipy_status(found)
        lp.assignStatus(status, solution)
        return int(status)


def _scipy_rows(lp: pulp.LpProblem, place: dict[str, int]) -> Any:
    """The constraints of `lp` as one sparse scipy.optimize.LinearConstraint."""
    from scipy.optimize import LinearConstraint
    from scipy.sparse import csr_array

    rows: list[int] = []
    columns: list[int] = []
    numbers: list[float] = []
    low: list[float] = []
    high: list[float] = []
    for i, constraint in enumerate(lp.constraints.values()):
        for variable, coefficient in constraint.items():
            rows.append(i)
            columns.append(place[variable.name])
            numbers.append(coefficient)
        right = -constraint.constant
        low.append(right if constraint.sense != pulp.LpConstraintLE else -np.inf)
        high.append(right if constraint.sense != pulp.LpConstraintGE else np.inf)
    matrix = csr_array((numbers, (rows, columns)), shape=(len(low), len(place)))
    return LinearConstraint(matrix, low, high)


def _scipy_status(found: Any) -> tuple[int, int]:
    """PuLP's status and solution status of a result of `milp`."""
    if found.status == 0:
        return pulp.LpStatusOptimal, pulp.LpSolutionOptimal
    if found.status == 2:
        return pulp.LpStatusInfeasible, pulp.LpSolutionInfeasible
    if found.x is not None:
        return pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible
    return pulp.LpStatusNotSolved, pulp.LpSolutionNoSolutionFound


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PuLP's warnings about its own next major version, which hwsim does not accept yet."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def timer(limit_s: float) -> Callable[[], float]:
    """A function that says how many of `limit_s` seconds are left, from now on; never below 0."""
    end = time.monotonic() + limit_s
    return lambda: max(0.0, end - time.monotonic())
