import re
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.solver import pulp_backend
from hwsim.solver.pulp_backend import Program, Row, check_solver, solve_program, solver_names

SOLVERS = ["cbc", "highs", "PULP_CBC_CMD"]
PAIR = Program(np.array([3.0, 1.0, 2.0, 1.0]), [np.array([0, 1]), np.array([2, 3])], [])


def with_row(*coefficients, limit):
    return pulp_backend.Program(
        PAIR.objective, PAIR.groups, [Row(np.arange(4), np.array(coefficients, dtype=float), limit)]
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_agree(solver):
    answer = solve_program(PAIR, solver, 10.0)
    assert (answer.status, answer.bound, answer.x.tolist()) == ("optimal", 2.0, [0, 1, 0, 1])
    answer = solve_program(with_row(0, 2, 0, 2, limit=3.0), solver, 10.0)
    assert (answer.status, answer.bound, answer.x.tolist()) == ("optimal", 3.0, [0, 1, 1, 0])
    answer = solve_program(with_row(1, 1, 1, 1, limit=1.0), solver, 10.0)
    assert (answer.status, answer.x) == ("infeasible", None)


@pytest.mark.parametrize("solver", SOLVERS)
def test_continuous_columns(solver):
    rows = [Row(np.array([0, 1, 4]), np.array([4.0, 6.0, -1.0]), 1.5)]
    objective = np.append(PAIR.objective, 1.0)
    answer = solve_program(Program(objective, PAIR.groups, rows, continuous=1), solver, 10.0)
    assert (answer.status, answer.bound) == ("optimal", pytest.approx(6.5))  # 4 - 1.5 less than 6 - 1.5 + cheaper
    assert answer.x == pytest.approx([0, 1, 0, 1, 4.5]) or answer.x == pytest.approx([1, 0, 0, 1, 2.5])


def test_bound_is_read_off_cbcs_log():
    log = "Result - Stopped on time limit\n\nObjective value:      101.5\nLower bound:          99.123\n"
    assert pulp_backend._cbc_bound(log) == 99.122
    assert pulp_backend._cbc_bound("no bound") == -np.inf


def test_highs_that_fails_in_presolve_is_asked_without():
    """A program on which HiGHS 1.12 gives up with presolve: three columns, a row for each of three limits."""
    rows = [[3.0 / 2.7, 4.0 / 2.7, 1.0 / 2.7], [1.0, 1.0 / 3, 4.0 / 3], [1.0, 2.0, 1.0]]
    limits = [
        Row(np.array([0, 1, 2, 3 + i]), np.array([*(np.array(row) * 1e4), -1.0]), 1e4) for i, row in enumerate(rows)
    ]
    program = Program(np.array([0.0, 0, 0, 1, 1, 1]), [np.arange(3)], limits, continuous=3)
    answer = solve_program(program, "highs", 10.0)
    assert (answer.status, answer.x[:3].tolist()) == ("optimal", [1, 0, 0])
    assert answer.bound == pytest.approx(1e4 * (3.0 / 2.7 - 1))


def test_names_of_solvers():
    assert solver_names()[:2] == ["cbc", "highs"]
    for name in solver_names():
        check_solver(name)


def test_only_the_backend_imports_pulp():
    package = Path(hwsim.__file__).parent
    users = [p for p in package.rglob("*.py") if re.search(r"^\s*(import|from) pulp", p.read_text(), re.MULTILINE)]
    assert users == [package / "solver" / "pulp_backend.py"]
