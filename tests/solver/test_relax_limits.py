import pytest

from hwsim.solver import solve_table
from tests.solver.tables import random_case
from tests.solver.test_solve_table import small

INFEASIBLE = [seed for seed in range(400) if (c := random_case(seed)).budgets and c.best() is None][:15]


@pytest.mark.parametrize("solver", ["cbc", "highs"])
@pytest.mark.parametrize("seed", INFEASIBLE)
def test_relaxations_are_the_smallest(seed, solver):
    case = random_case(seed)
    given = {"ties": case.ties, "peaks": case.peaks, "solver": solver}
    answer = solve_table(case.frame(), case.budgets, **given)
    assert answer.status == "infeasible"
    for name, relaxed in answer.relaxations.items():
        least = case.best(name, {key: limit for key, limit in case.budgets.items() if key != name})
        assert relaxed.proven
        assert relaxed.limits == (None if least is None else {name: pytest.approx(float(least), rel=1e-12)})
    joint = answer.joint_relaxation
    increase = sum(limit / case.budgets[name] - 1 for name, limit in joint.limits.items())
    assert joint.proven
    assert increase == pytest.approx(float(case.least_relative_increase()), abs=1e-9)
    assert solve_table(case.frame(), {**case.budgets, **joint.limits}, **given).status == "optimal"


def test_explanation_says_it_in_words():
    answer = solve_table(small(), {"latency_ms": 20.0, "sram_kib": 30.0}, peaks=["sram_kib"])
    assert answer.explanation.splitlines() == [
        "No choice keeps latency_ms <= 20 and sram_kib <= 30.",
        "latency_ms alone: no value would do while the others stay.",
        "sram_kib alone: no value would do while the others stay.",
        "Jointly: latency_ms >= 22 (+10.00%) and sram_kib >= 40 (+33.33%).",
    ]


def test_single_budget_needs_no_joint_line():
    answer = solve_table(small(), max_degradation=5.0, minimize="latency_ms")
    assert answer.explanation.splitlines() == [
        "No choice keeps degradation <= 5.",
        "degradation alone: degradation >= 7 (+40.00%).",
    ]


def test_feasible_answer_has_no_relaxation():
    answer = solve_table(small(), {"latency_ms": 30.0})
    assert (answer.relaxations, answer.joint_relaxation) == ({}, None)
