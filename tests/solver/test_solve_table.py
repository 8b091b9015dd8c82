import math
import re

import numpy as np
import pandas as pd
import pytest

from hwsim.errors import InputError
from hwsim.solver import solve_table
from tests.solver.tables import random_case

SOLVERS = ["cbc", "highs"]


def small():
    rows = [
        ("conv1", 8, 1.0, 9.0, 40.0, 0.0),
        ("conv1", 4, 20.0, 6.0, 40.0, 4.0),
        ("conv2", 8, 4.0, 21.0, 24.0, 0.0),
        ("conv2", 4, 11.0, 14.0, 20.0, 7.0),
        ("skip", 8, 2.0, 3.0, 24.0, 0.0),
        ("skip", 4, 9.0, 2.0, 20.0, 1.0),
    ]
    return pd.DataFrame(rows, columns=["layer", "choice", "degradation", "latency_ms", "sram_kib", "gain"])


def test_least_degradation_within_a_budget():
    answer = solve_table(small(), {"latency_ms": 26.0})
    assert answer.status == "optimal"
    assert answer.choice == {"conv1": 8, "conv2": 4, "skip": 8}
    assert (answer.degradation, answer.value, answer.bound, answer.gap) == (14.0, 14.0, 14.0, 0.0)
    assert answer.costs == {"latency_ms": 26.0, "sram_kib": 84.0, "gain": 7.0}
    assert answer.slack == {"latency_ms": 0.0}
    assert answer.objective == "minimal degradation"
    assert answer.explanation == "minimal degradation: 14. It is proven that no choice does better."
    assert answer.solver.startswith("cbc (PuLP ")


def test_prices_are_what_one_more_unit_buys():
    table = small()
    answer = solve_table(table, {"latency_ms": 32.0})
    assert (answer.degradation, answer.prices) == (14.0, {"latency_ms": 7.0})  # 33 fit all in 8 bits, which loses 7
    assert solve_table(table, {"latency_ms": 26.0}).prices == {"latency_ms": 0.0}
    assert solve_table(table, {"latency_ms": 99.0}).marginal_prices == {"latency_ms": 0.0}
    assert answer.marginal_prices["latency_ms"] == pytest.approx(1.0)  # conv2: 7 for 7 ms


def test_tied_layers_choose_alike_through_chains():
    answer = solve_table(small(), {"latency_ms": 26.0}, ties=[("conv2", "skip")])
    assert answer.choice == {"conv1": 8, "conv2": 4, "skip": 4}
    answer = solve_table(small(), {"latency_ms": 26.0}, ties=[("skip", "conv2"), ["conv1", "skip"]])
    assert set(answer.choice.values()) == {4}


def test_tied_layers_share_only_common_choices():
    table = small().query("not (layer == 'skip' and choice == 8)")
    assert solve_table(table, ties=[("conv1", "skip")]).choice == {"conv1": 4, "conv2": 8, "skip": 4}


def test_peak_cost_counts_its_largest():
    answer = solve_table(small(), {"sram_kib": 40.0}, peaks=["sram_kib"])
    assert (answer.choice["conv1"], answer.costs["sram_kib"], answer.slack) == (8, 40.0, {"sram_kib": 0.0})
    assert solve_table(small(), {"sram_kib": 39.0}, peaks=["sram_kib"]).status == "infeasible"


def test_decimal_budget_is_met_despite_float_sums():
    table = pd.DataFrame({"layer": ["a", "b"], "choice": [8, 8], "degradation": [0, 0], "ms": [0.1, 0.2]})
    assert solve_table(table, {"ms": 0.3}).status == "optimal"  # 0.1 + 0.2 > 0.3 in floats
    assert solve_table(table, {"ms": 0.3 - 1e-9}).status == "infeasible"


def test_first_of_equal_choices_is_taken():
    table = pd.DataFrame({"layer": ["a"] * 3, "choice": ["x", "y", "z"], "degradation": [1, 0, 0], "ms": [0, 2, 2]})
    assert solve_table(table, {"ms": 2.0}).choice == {"a": "y"}


def test_least_cost_within_a_degradation():
    answer = solve_table(small(), minimize="latency_ms", max_degradation=14.0)
    assert (answer.choice, answer.value) == ({"conv1": 8, "conv2": 4, "skip": 8}, 26.0)
    assert (answer.objective, answer.budgets) == ("minimal latency_ms", {"degradation": 14.0})


def test_most_gain_within_a_degradation():
    answer = solve_table(small(), maximize="gain", max_degradation=26.0)
    assert (answer.choice, answer.value, answer.bound) == ({"conv1": 8, "conv2": 4, "skip": 4}, 8.0, 8.0)
    assert answer.objective == "maximal gain"
    assert answer.prices == {"degradation": 0.0}
    assert solve_table(small(), maximize="gain", max_degradation=32.0).prices == {"degradation": 3.0}


def test_weighted_sum():
    answer = solve_table(small(), weights={"degradation": 1.0, "latency_ms": 2.0})
    assert answer.choice == {"conv1": 8, "conv2": 4, "skip": 8}
    assert (answer.value, answer.objective) == (14.0 + 52.0, "minimal degradation + 2 latency_ms")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", range(100, 130))
def test_least_cost_or_peak_equals_the_best_of_all_combinations(seed, solver):
    case = random_case(seed)
    for name in list(case.budgets):
        best = case.best(name)
        table, found = case.frame(), {"ties": case.ties, "peaks": case.peaks, "solver": solver}
        answer = solve_table(table, case.budgets, minimize=name, **found)
        assert answer.status == ("infeasible" if best is None else "optimal")
        assert best is None or answer.value == pytest.approx(float(best), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("seed", range(130, 150))
def test_degradation_bound_and_budgets_hold_together(seed):
    case = random_case(seed)
    everything = case.best(budgets={})
    limits = {**case.budgets, "degradation": float(everything) * 1.5}
    best = case.best("latency_ms", limits)
    answer = solve_table(
        case.frame(),
        case.budgets,
        ties=case.ties,
        peaks=case.peaks,
        minimize="latency_ms",
        max_degradation=limits["degradation"],
    )
    assert answer.status == ("infeasible" if best is None else "optimal")
    assert best is None or answer.value == pytest.approx(float(best), rel=1e-12, abs=1e-12)


def test_degradation_may_be_negative():
    table = small().assign(degradation=[-3.0, 1.0, -1.0, 2.0, 0.0, 1.0])
    answer = solve_table(table, {"latency_ms": 26.0})
    assert (answer.degradation, answer.status) == (-1.0, "optimal")


def test_columns_that_nobody_asks_for_may_be_incomplete():
    table = small().assign(accuracy=[np.nan] + [1.0] * 5, note="text", index=-1)
    assert list(solve_table(table, {"latency_ms": 30.0}).costs) == ["latency_ms", "sram_kib", "gain"]


def test_no_budget_takes_the_least_degradation():
    answer = solve_table(small())
    assert (set(answer.choice.values()), answer.prices, answer.marginal_prices) == ({8}, {}, {})


def changed(**columns):
    return small().assign(**columns)


BAD = [
    ({"table": [1]}, "table is a list; expected a pandas DataFrame with layer, choice, degradation"),
    (
        {"table": small().drop(columns="degradation")},
        "table has no column 'degradation'; it needs layer, choice, degradation and costs, and has "
        "layer, choice, latency_ms, sram_kib, gain",
    ),
    ({"table": small().head(0)}, "table has no rows; it needs one for each layer and choice"),
    ({"table": changed(layer=["a", None, "b", "b", "c", "c"])}, "table row 1: layer is empty; name it"),
    (
        {"table": changed(choice=[8, 4, 8, 4, 8, 8])},
        "table row 5 (layer 'skip', choice 8): there twice; keep one row for a layer and choice",
    ),
    (
        {"table": changed(latency_ms=[1, 2, np.nan, 4, 5, 6])},
        "table row 2 (layer 'conv2', choice 8): latency_ms is nan; it must be a finite number",
    ),
    (
        {"table": changed(latency_ms=-2.0)},
        "table row 0 (layer 'conv1', choice 8): latency_ms is -2.0; a cost must be at least 0",
    ),
    (
        {"table": changed(degradation=np.inf)},
        "table row 0 (layer 'conv1', choice 8): degradation is inf; it must be a finite number",
    ),
    ({"table": changed(degradation="x")}, "table column 'degradation' holds text; it needs a number in each row"),
    ({"table": changed(latency_ms="3 ms")}, "table column 'latency_ms' holds text; a cost needs a number in each row"),
    (
        {"table": pd.concat([small(), small()[["gain"]]], axis=1)},
        "table has column 'gain' twice; give each column a name of its own",
    ),
    ({"budgets": {"latency": 3.0}}, "unknown cost 'latency'; did you mean 'latency_ms'?"),
    ({"budgets": {"latency_ms": 0}}, "budget 'latency_ms' is 0; expected a number above 0"),
    ({"budgets": {"latency_ms": "3"}}, "budget 'latency_ms' is '3'; expected a finite number"),
    ({"budgets": {"degradation": 3.0}}, "degradation is bounded by max_degradation, not by a budget"),
    ({"budgets": [3.0]}, "budgets is [3.0]; expected {cost: limit}"),
    ({"ties": [("conv1", "conv3")]}, "unknown layer in a tie 'conv3'; did you mean 'conv2'?"),
    ({"ties": ["conv1"]}, "a tie is the text 'conv1'; expected a list of names, ['conv1']"),
    (
        {"table": small().iloc[[0, 3]], "ties": [("conv1", "conv2")]},
        "tied layers 'conv1', 'conv2' have no choice in common",
    ),
    ({"peaks": "sram_kib"}, "peaks is the text 'sram_kib'; expected a list of names, ['sram_kib']"),
    ({"peaks": ["sram"]}, "unknown cost 'sram'; did you mean 'sram_kib'?"),
    ({"minimize": "latency_ms", "maximize": "gain"}, "minimize and maximize are both given; choose one"),
    ({"weights": {"degradation": -1.0}}, "weight of 'degradation' is -1.0; expected at least 0"),
    (
        {"weights": {"degradation": 1.0, "sram_kib": 1.0}, "peaks": ["sram_kib"]},
        "peak cost 'sram_kib' cannot be in a weighted sum; give it a budget, or minimize it alone",
    ),
    (
        {"maximize": "sram_kib", "peaks": ["sram_kib"]},
        "peak cost 'sram_kib' cannot be maximized; give it a budget, or minimize it",
    ),
    ({"max_degradation": math.nan}, "max_degradation is nan; expected a finite number"),
    ({"time_limit_s": 0}, "time_limit_s is 0; expected seconds above 0"),
]


@pytest.mark.parametrize(("given", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_named(given, message):
    given = {"table": small(), "budgets": {"latency_ms": 26.0}, **given}
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        solve_table(**given)


def test_unknown_solver_is_named():
    with pytest.raises(InputError, match=r"^unknown solver 'cbd'; did you mean 'cbc'\?$"):
        solve_table(small(), solver="cbd")
