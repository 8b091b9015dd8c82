"""Real numbers to whole ones, by the rule that says where ties go."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError, unknown

Reals = NDArray[np.float64]
Rounding = Callable[[Reals], Reals]


def half_even(values: Reals) -> Reals:
    """To the nearest, ties to the even neighbour: torch.round, np.rint, most float hardware."""
    return np.rint(values)


def half_away(values: Reals) -> Reals:
    """To the nearest, ties away from zero: C's round, TFLite's quantizer."""
    whole = np.trunc(values)
    rest = values - whole
    rounded: Reals = whole + (rest >= 0.5) - (rest <= -0.5)
    return rounded


def half_up(values: Reals) -> Reals:
    """To the nearest, ties towards plus infinity: an added half and a shift, in fixed point."""
    whole = np.floor(values)
    rounded: Reals = whole + (values - whole >= 0.5)
    return rounded


ROUNDINGS: dict[str, Rounding] = {"half_even": half_even, "half_away": half_away, "half_up": half_up}


def stochastic(seed: int) -> Rounding:
    """Up with the probability of the fraction, so that the mean is kept; the same `seed` draws the same numbers.

    Source: Gupta et al., Deep Learning with Limited Numerical Precision, 2015 (arXiv 1502.02551).
    """
    generator = np.random.default_rng(seed)

    def rounded(values: Reals) -> Reals:
        whole = np.floor(values)
        result: Reals = whole + (generator.random(values.shape) < values - whole)
        return result

    return rounded


def rounding(name: str | Rounding) -> Rounding:
    """The rule called `name`, or `name` itself where it is one; InputError where there is none of that name."""
    if callable(name):
        return name
    if name not in ROUNDINGS:
        raise InputError(unknown("rounding", name, ROUNDINGS))
    return ROUNDINGS[name]
