"""Optimal means optimal: against every combination, against scipy's own program, and with solvers that lie."""

import math

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from hwsim.solver import search as module
from hwsim.solver import solve_table
from hwsim.solver.problem import Problem, useful_columns
from hwsim.solver.pulp_backend import Answer, solve_program
from hwsim.solver.relaxation import relax
from tests.solver.tables import random_case, random_frame

SOLVERS = ["cbc", "highs"]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", range(80))
def test_answer_equals_the_best_of_all_combinations(seed, solver):
    case = random_case(seed)
    best = case.best()
    answer = solve_table(case.frame(), case.budgets, ties=case.ties, peaks=case.peaks, solver=solver)
    if best is None:
        assert (answer.status, answer.choice) == ("infeasible", {})
        return
    assert answer.status == "optimal"
    assert answer.degradation == pytest.approx(float(best), rel=1e-12, abs=1e-12)
    assert case.fits(answer.choice, case.budgets)
    assert float(case.total("degradation", answer.choice)) == pytest.approx(answer.degradation, rel=1e-12, abs=1e-12)


def scipy_optimum(frame, budgets):
    """The same program over all columns, by scipy alone; its tolerance on the objective is 1e-6."""
    columns = np.arange(len(frame))
    one_each = csr_array((np.ones(len(frame)), (frame["layer"].to_numpy(), columns)))
    rows = [LinearConstraint(frame[name].to_numpy(), -np.inf, limit) for name, limit in budgets.items()]
    found = milp(
        frame["degradation"],
        constraints=[*rows, LinearConstraint(one_each, 1, 1)],
        integrality=np.ones(len(frame)),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )
    assert found.status == 0
    return found.fun


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("layers", "choices", "budgets", "share"), [(300, 10, 1, 0.3), (150, 8, 2, 0.3), (40, 6, 3, 0.6)]
)
def test_large_answer_equals_scipy(layers, choices, budgets, share, solver):
    frame, limits = random_frame(layers, choices, budgets, seed=layers, share=share)
    answer = solve_table(frame, limits, solver=solver)
    assert answer.status == "optimal"
    assert answer.degradation == pytest.approx(scipy_optimum(frame, limits), abs=2e-6)


def test_500_layers_25_choices_2_budgets_are_proven_in_5_seconds():
    frame, limits = random_frame(500, 25, 2, seed=0)
    answer = solve_table(frame, limits)
    assert (answer.status, answer.gap) == ("optimal", 0.0)
    assert all(slack >= 0 for slack in answer.slack.values())


@pytest.mark.parametrize("solver", SOLVERS)
def test_time_limit_is_said_with_a_gap_that_holds(solver):
    frame, limits = random_frame(500, 25, 5, seed=1, share=0.6)
    answer = solve_table(frame, limits, solver=solver, time_limit_s=1.0)
    assert answer.status == "time_limit"
    assert answer.seconds < 10
    assert len(answer.choice) == 500
    assert answer.gap == pytest.approx((answer.degradation - answer.bound) / answer.degradation)
    assert 0 < answer.gap < 0.2
    assert all(slack >= 0 for slack in answer.slack.values())
    assert answer.prices == dict.fromkeys(limits)  # nothing proven, so no exact price
    assert all(price > 0 for price in answer.marginal_prices.values())


def test_bound_lies_below_every_combination_and_excess_below_those_with_the_column():
    for seed in range(40):
        case = random_case(seed)
        frame = case.frame()
        starts = np.searchsorted(frame["layer"], [*case.rows, "z"])
        cost = frame[list(case.budgets)].to_numpy().T
        problem = Problem(starts, frame["degradation"].to_numpy(), cost, np.array(list(case.budgets.values())))
        relaxation = relax(problem)
        if relaxation is None:
            continue
        for picks in np.stack(np.meshgrid(*map(np.arange, starts[:-1], starts[1:])), -1).reshape(-1, len(case.rows)):
            if problem.fits(picks):
                floor = relaxation.bound + relaxation.excess[picks].max() - relaxation.allowance()
                assert problem.worth(picks) >= floor


def test_useful_columns_leave_out_what_is_dominated_or_cannot_fit():
    value = np.array([3.0, 2.0, 2.0, 9.0, 1.0])
    cost = np.array([[1.0, 2.0, 2.0, 2.5, 50.0]])
    problem = Problem(np.array([0, 5]), value, cost, np.array([10.0]))
    assert useful_columns(problem).tolist() == [0, 1]
    assert useful_columns(Problem(np.array([0, 5]), value, cost, np.array([0.5]))) is None


def lying_solver(lies):
    """A solver that first gives `lies` answers that miss a row by a little, as tolerances allow."""
    given = []

    def solve(program, solver, time_limit_s):
        given.append(len(program.rows))
        loose = [module.replace(row, limit=row.limit * 1.2) for row in program.rows[:1]]
        rows = [*loose, *program.rows[1:]] if len(given) <= lies else program.rows
        return solve_program(module.replace(program, rows=rows), solver, time_limit_s)

    return solve, given


def test_answer_that_misses_a_budget_is_excluded(monkeypatch):
    frame, limits = random_frame(6, 4, 1, seed=3, share=0.5)
    honest = solve_table(frame, limits)
    solve, given = lying_solver(lies=3)
    monkeypatch.setattr(module, "solve_program", solve)
    answer = solve_table(frame, limits)
    assert (answer.status, answer.choice) == ("optimal", honest.choice)
    assert given[:2] == [1, 2]  # one row more: the first answer's exclusion


def test_answer_found_only_by_leaving_a_hair_is_not_called_optimal(monkeypatch):
    frame, limits = random_frame(60, 4, 1, seed=3, share=0.5)
    honest = solve_table(frame, limits)
    solve, _ = lying_solver(lies=module.MOST_RETRIES)
    monkeypatch.setattr(module, "solve_program", solve)
    answer = solve_table(frame, limits)
    assert answer.status == "feasible"
    assert answer.bound <= honest.degradation <= answer.degradation
    assert answer.gap > 0


def test_solver_without_an_answer_leaves_a_mended_one_and_the_relaxations_bound(monkeypatch):
    frame, limits = random_frame(300, 5, 2, seed=0, share=0.6)
    monkeypatch.setattr(module, "solve_program", lambda *a: Answer("time_limit", None, -np.inf))
    answer = solve_table(frame, limits)
    monkeypatch.undo()
    best = solve_table(frame, limits).degradation
    assert answer.status == "time_limit"
    assert answer.bound <= best <= answer.degradation < 1.05 * best
    assert all(slack >= 0 for slack in answer.slack.values())


def test_no_answer_at_all_is_said(monkeypatch):
    frame, limits = random_frame(300, 5, 2, seed=0, share=0.6)
    monkeypatch.setattr(module, "solve_program", lambda *a: Answer("time_limit", None, -np.inf))
    monkeypatch.setattr(module, "_repaired", lambda *a: None)
    answer = solve_table(frame, limits)
    assert (answer.status, answer.choice, answer.gap) == ("time_limit", {}, math.inf)
    assert math.isnan(answer.degradation)
    assert answer.explanation.startswith("Nothing was found in ")


def test_second_program_is_solved_where_the_core_leaves_doubt(monkeypatch):
    frame, limits = random_frame(100, 8, 2, seed=5)
    sizes = []

    def solve(program, *rest):
        sizes.append(len(program.objective))
        return solve_program(program, *rest)

    expected = solve_table(frame, limits)
    monkeypatch.setattr(module, "solve_program", solve)
    monkeypatch.setattr(module, "CORE", 3)
    answer = solve_table(frame, limits)
    assert len(sizes) == 2
    assert sizes[1] > sizes[0]
    assert (answer.status, answer.choice) == ("optimal", expected.choice)


def test_numbers_of_any_size_are_solved_alike():
    frame, limits = random_frame(30, 5, 2, seed=2, share=0.6)
    expected = solve_table(frame, limits)
    tiny = frame.assign(degradation=frame["degradation"] * 1e-9, cost0=frame["cost0"] * 1e12)
    answer = solve_table(tiny, {**limits, "cost0": limits["cost0"] * 1e12})
    assert (answer.status, answer.choice) == ("optimal", expected.choice)
