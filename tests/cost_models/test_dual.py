"""Slopes carried along, against differences of the same floats."""

from math import ceil

import numpy as np
import pytest

from hwsim.cost_models.dual import Dual, plain, slopes_of
from hwsim.cost_models.fit import Problem
from hwsim.cost_models.measurements import read_measurements, shipped_network
from hwsim.targets import MEASUREMENTS, target

FORMULAS = {
    "sums": lambda a, b: 3 + a - b + (7 - a) - 2 + sum([a, b]),
    "products": lambda a, b: 2 * a * b * 0.5 + -a,
    "quotients": lambda a, b: a / b + 5 / a + b / 4,
    "limits": lambda a, b: max(a, b, 1.0) + min(a * b, 9.0) + max(2.0, a),
    "steps": lambda a, b: ceil(a) * b + (b if a else 0.0),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_slopes_are_those_of_differences(name):
    formula, at, step = FORMULAS[name], (1.7, 3.2), 1e-6
    found = formula(Dual(at[0], np.array([1.0, 0.0])), Dual(at[1], np.array([0.0, 1.0])))
    assert plain(found) == formula(*at)
    by = [(formula(at[0] + step, at[1]) - formula(*at)) / step, (formula(at[0], at[1] + step) - formula(*at)) / step]
    assert slopes_of(found, 2) == pytest.approx(by, rel=1e-4, abs=1e-6)


CLASSES = {
    "cortex_m": ("cortex-m4", "cortex-m33", "cortex-m7"),
    "cortex_a": ("cortex-a7", "cortex-a53", "cortex-a72"),
    "mvp": ("efr32xg24",),
    "edge_tpu": ("coral-edgetpu",),
    "gpu_t4": ("nvidia-t4",),
    "gap": ("gap9", "gap8"),
    "riscv_dsp": ("andes-d25",),
}


@pytest.mark.parametrize("name", CLASSES)
def test_every_cost_model_carries_slopes(name):
    """No model drops them on the way: exact slopes equal those of differences, for every free constant."""
    rows = read_measurements(MEASUREMENTS / f"{name}.csv")[::9]
    problem = Problem([target(each) for each in CLASSES[name]], rows, shipped_network)
    point = problem.neutral + 0.01
    found, slopes = problem.cases.predict(point, slopes=True)
    plainly = problem.cases.predict(point)[0]
    assert np.array_equal(found, plainly, equal_nan=True)
    for i in range(len(point)):
        moved = point.copy()
        moved[i] += 1e-6
        by = (problem.cases.predict(moved, problem.cases.touched[i])[0] - plainly) / 1e-6
        there = problem.cases.touched[i][:, None] & np.isfinite(plainly)
        assert slopes[there, i] == pytest.approx(by[there], rel=2e-3, abs=1e-4 * float(np.nanmax(plainly)))
        assert not slopes[~problem.cases.touched[i], :, i].any()
