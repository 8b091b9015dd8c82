import json
import math
from itertools import pairwise

import pandas as pd
import pytest

from hwsim.errors import InputError
from hwsim.reports.pareto import write_sweep
from hwsim.solver import sweep_table
from tests.solver.tables import random_case
from tests.solver.test_solve_table import small

SEEDS = [seed for seed in range(200, 260) if (c := random_case(seed)).budgets and c.best() is not None][:20]


def front(case, over):
    """Every (cost, degradation) that no other combination beats."""
    others = {name: limit for name, limit in case.budgets.items() if name != over}
    points = {(case.total(over, c), case.total("degradation", c)) for c in case.combinations() if case.fits(c, others)}
    best, kept = math.inf, set()
    for cost, degradation in sorted(points):
        if degradation < best:
            kept.add((float(cost), float(degradation)))
            best = degradation
    return kept


@pytest.mark.parametrize("seed", SEEDS)
def test_points_lie_on_the_front_and_many_budgets_find_all_of_it(seed):
    case = random_case(seed)
    over = next(iter(case.budgets))
    others = {name: limit for name, limit in case.budgets.items() if name != over}
    sweep = sweep_table(case.frame(), over, others, points=300, ties=case.ties, peaks=case.peaks)
    expected = sorted(front(case, over))
    found = list(zip(sweep.points[over], sweep.points["degradation"], strict=True))
    assert set(sweep.points["status"]) == {"optimal"}
    near = [min(expected, key=lambda e, p=point: abs(e[0] - p[0]) + abs(e[1] - p[1])) for point in found]
    assert [pytest.approx(point, abs=1e-9) for point in near] == found
    assert {near[0], near[-1]} == {expected[0], expected[-1]}
    gap = min((b[0] - a[0] for a, b in pairwise(expected)), default=math.inf)
    if gap > (expected[-1][0] - expected[0][0]) / 299:  # the budgets are finer than the front
        assert len(found) == len(expected)


def test_sweep_of_a_small_table():
    seen = []
    sweep = sweep_table(small(), "latency_ms", points=12, progress=seen.append)
    assert list(sweep.points["latency_ms"]) == [22.0, 23.0, 25.0, 26.0, 33.0]
    assert list(sweep.points["degradation"]) == [40.0, 33.0, 21.0, 14.0, 7.0]
    assert sweep.choices[-1] == {"conv1": 8, "conv2": 8, "skip": 8}
    assert sweep.uniform[["choice", "fits", "degradation", "latency_ms"]].to_numpy().tolist() == [
        [8, True, 7.0, 33.0],
        [4, True, 40.0, 22.0],
    ]
    assert sum(seen) == 12


def test_budgets_bound_the_sweep():
    sweep = sweep_table(small(), "latency_ms", {"latency_ms": 30.0, "sram_kib": 85.0}, points=6)
    assert sweep.points["latency_ms"].max() == 26.0
    assert (sweep.points["sram_kib"] <= 85.0).all()
    assert list(sweep.uniform["fits"]) == [False, True]


def test_pinned_layers_keep_their_choice_in_uniform_ones():
    table = small().query("not (layer == 'conv1' and choice == 4)")
    assert list(sweep_table(table, "latency_ms", points=3).uniform["latency_ms"]) == [33.0, 25.0]


def test_sweep_where_nothing_fits_is_refused():
    with pytest.raises(InputError, match=r"^no choice keeps the other budgets; "):
        sweep_table(small(), "latency_ms", {"sram_kib": 1.0})
    with pytest.raises(InputError, match=r"^points is 1; a sweep needs at least 2$"):
        sweep_table(small(), "latency_ms", points=1)


def test_files_of_a_sweep(tmp_path):
    sweep = sweep_table(small(), "latency_ms", points=4)
    written = write_sweep(sweep, tmp_path / "new" / "folder")
    assert sorted(path.name for path in written) == sorted(path.name for path in (tmp_path / "new/folder").iterdir())
    by_name = {path.name: path for path in written}
    pd.testing.assert_frame_equal(pd.read_csv(by_name["front.csv"]), sweep.points)
    facts = json.loads(by_name["front.json"].read_text())
    assert facts["over"] == "latency_ms"
    assert facts["points"][0]["choice"] == dict(sweep.choices[0])
    assert [row["choice"] for row in facts["uniform"]] == [8, 4]
    svg = by_name["front.svg"].read_text()
    assert svg.startswith("<?xml")
    assert by_name["front.png"].read_bytes().startswith(b"\x89PNG")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"^cannot make folder "):
        write_sweep(sweep, tmp_path / "file")
