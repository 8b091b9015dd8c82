"""Floats are compared within the engine's tolerance, integers never."""

from dataclasses import replace

import numpy as np

import hwsim
from hwsim.engines import real_engines
from hwsim.graph import Tensor
from hwsim.verify.explain import unequal
from tests.build import single
from tests.test_simulate import ROWS, two_layers

FLOAT = hwsim.engines()["float"]


def relu():
    return single("relu", [Tensor("x", (1, 3), "float32")], Tensor("y", (1, 3), "float32"))


def test_tolerance_is_relative_to_the_range_of_the_sample():
    expected = np.array([[1.0, 100.0], [1.0, 2.0], [0.0, 0.0]], np.float32)
    actual = expected + np.array([[9e-4, 1.1e-3], [1.9e-5, 2.1e-5], [0.0, 1e-30]], np.float32)
    assert unequal(expected, actual, 1e-5).tolist() == [[False, True], [False, True], [False, True]]
    assert unequal(expected, actual).tolist() == [[True, True], [True, True], [False, True]]


def test_tolerance_does_not_hide_what_is_not_a_number():
    expected = np.array([[1.0, np.nan], [np.inf, 3.0], [np.inf, 1.0]])
    actual = np.array([[np.nan, np.nan], [1.0, 3.5], [np.inf, 1.000001]])
    assert unequal(expected, actual, 1e-5).tolist() == [[True, False], [True, True], [False, False]]


def test_tolerance_leaves_integers_alone():
    assert unequal(np.array([[10**6, 5]]), np.array([[10**6 + 1, 5]]), 1e-5).tolist() == [[True, False]]


def test_check_agrees_within_the_tolerance_and_says_how_far():
    x = np.array([[1.0, -2.0, 4.0]], np.float32)
    recorded = np.array([[1.00003, 0.0, 4.0]], np.float32)
    check = hwsim.verify(relu(), x, engine="float", against={"y": recorded})
    assert (check.agrees, check.exact, check.tensors[0].differing) == (True, False, 0)
    assert check.tensors[0].largest == float(recorded[0, 0]) - 1.0
    strict = hwsim.verify(relu(), x, engine=replace(FLOAT, tolerance=0.0), against={"y": recorded})
    assert (strict.agrees, strict.exact, strict.tensors[0].differing) == (False, False, 1)


def test_difference_beyond_the_tolerance_is_named():
    x = np.array([[1.0, -2.0, 4.0]], np.float32)
    check = hwsim.verify(relu(), x, engine="float", against={"y": np.array([[1.0, 0.0, 4.0001]], np.float32)})
    assert not check.agrees
    assert check.first_difference is not None and check.first_difference.index == (0, 2)
    assert check.tensors[0].alone == 1


def test_integer_engines_have_no_tolerance():
    assert all(engine.tolerance == 0 for engine in real_engines().values())
    run = hwsim.simulate(two_layers(), ROWS, "xnnpack", keep_tensors=True)
    check = hwsim.verify(two_layers(), ROWS, engine="xnnpack", against=run.tensors)
    assert check.agrees and check.exact
