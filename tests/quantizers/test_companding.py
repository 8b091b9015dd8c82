"""LCQ against f, round and the inverse of f in exact fractions, on every code and at every tie."""

from fractions import Fraction
from math import exp, inf, nextafter

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.companding import Companding, LimitedNormalization

SHARES = {
    "straight": (1.0, 1.0, 1.0, 1.0),
    "dense at zero": (4.0, 2.0, 1.0, 1.0),
    "dense at the end": (0.5, 0.25, 0.25, 7.0),
    "five intervals": (0.1, 0.3, 0.2, 0.7, 0.4),
    "one": (3.0,),
}
CASES = [(bits, signed) for signed in (False, True) for bits in range(1 + signed, 5)]


def knots(shares):
    """The corners of f: places and heights."""
    rises = [Fraction(s) for s in shares]
    heights = [sum(rises[:k], Fraction(0)) / sum(rises) for k in range(len(rises) + 1)]
    return [Fraction(k, len(rises)) for k in range(len(rises) + 1)], heights


def line(value, xs, ys):
    """The piecewise-linear function through (xs, ys)."""
    for x0, x1, y0, y1 in zip(xs, xs[1:], ys, ys[1:], strict=False):
        if x0 <= value <= x1:
            return y0 + (value - x0) * (y1 - y0) / (x1 - x0)
    raise AssertionError(value)


def exact_code(value, form):
    """sgn(x) * round(s * f(min(|x| / alpha, 1))), ties to even; the code 0 of 0 and of what is below 0 unsigned."""
    xs, heights = knots(form.shares)
    magnitude = abs(Fraction(value)) if form.signed else max(Fraction(value), Fraction(0))
    steps = 2 ** (form.bits - 1) - 1 if form.signed else 2**form.bits - 1
    code = round(steps * line(min(magnitude / Fraction(form.alpha), Fraction(1)), xs, heights))
    return -code if value < 0 else code


def probes(form):
    """Values at, just below and just above every tie, every level and every corner, both signs; and random ones."""
    xs, heights = knots(form.shares)
    alpha, steps = Fraction(form.alpha), 2 ** (form.bits - form.signed) - 1
    exact = [line(Fraction(2 * c - 1, 2 * steps), heights, xs) for c in range(1, steps + 1)]
    exact += [line(Fraction(c, steps), heights, xs) for c in range(steps + 1)] + xs
    near = [float(alpha * value) for value in exact]
    values = [v for n in near for v in (nextafter(n, -inf), n, nextafter(n, inf))]
    values += np.random.default_rng(form.bits).uniform(0, 1.3 * form.alpha, 300).tolist()
    return values + [-v for v in values]


@pytest.mark.parametrize(("bits", "signed"), CASES)
@pytest.mark.parametrize("alpha", [1.0, 0.75, 2.3456789])
@pytest.mark.parametrize("name", SHARES)
def test_threshold_search_is_f_round_inverse_in_fractions(name, alpha, bits, signed):
    form = Companding(bits, alpha, SHARES[name], signed)
    levels, values = form.levels(), probes(form)
    steps = 2 ** (bits - 1) - 1 if signed else 0
    codes = levels.encode(np.array(values)) - steps
    assert codes.tolist() == [exact_code(value, form) for value in values]
    xs, heights = knots(form.shares)
    top = 2 ** (bits - signed) - 1
    expected = [
        Fraction(alpha) * line(Fraction(abs(c), top), heights, xs) * (1 if c >= 0 else -1) for c in codes.tolist()
    ]
    np.testing.assert_allclose(levels.decode(codes + steps), [float(e) for e in expected], rtol=1e-15)


def test_ties_that_floats_can_hold_go_to_the_even_code():
    form = Companding(3, 7.0, (1.0,), signed=False)  # thresholds at 0.5, 1.5, ... 6.5 exactly
    ties = np.arange(0.5, 7.0)
    assert form.levels().encode(ties).tolist() == [0, 2, 2, 4, 4, 6, 6]


def test_compress_and_expand_are_inverse():
    form = Companding(4, 1.0, SHARES["five intervals"], signed=False)
    for k in range(101):
        assert form.expand(form.compress(Fraction(k, 100))) == Fraction(k, 100)
    assert (form.compress(Fraction(0)), form.compress(Fraction(1))) == (0, 1)


def test_shares_are_the_softmax_of_theta():
    form = Companding.from_theta(4, 2.0, [0.0, 1.0, -1.0], signed=True)
    total = 1 + exp(1) + exp(-1)
    np.testing.assert_allclose(
        [float(form.compress(Fraction(k, 3))) for k in (1, 2)], [1 / total, (1 + exp(1)) / total]
    )


@pytest.mark.parametrize("signed", [False, True])
def test_outer_requantization_rounds_the_levels(signed):
    form = Companding(4, 1.7, SHARES["five intervals"], signed)
    levels, outer = form.levels(), form.levels().requantized(8)
    top = 127 if signed else 255
    xs, heights = knots(form.shares)
    steps = 7 if signed else 15
    magnitudes = [round(top * line(Fraction(c, steps), heights, xs)) for c in range(steps + 1)]
    assert outer.table[0].tolist() == ([-m for m in magnitudes[:0:-1]] if signed else []) + magnitudes
    assert outer.is_integer and outer.entry_bits == 8
    np.testing.assert_array_equal(outer.scale, [1.7 / top])
    np.testing.assert_array_equal(outer.encode(np.array([0.3, 5.0])), levels.encode(np.array([0.3, 5.0])))


def test_published_table_sizes():
    """Section 9.1: 4-bit codes and outer levels of 8 bits make a product table of 256 entries of 16 bits, 512 bytes."""
    weights, activations = (Companding(4, 1.0, (1.0, 2.0), s).levels().requantized(8) for s in (True, False))
    entries = 2**weights.bits * 2**activations.bits
    assert entries * (weights.entry_bits + activations.entry_bits) // 8 == 512


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_fit_is_better_than_the_straight_line(bits):
    values = np.random.default_rng(4).laplace(0, 1, 4000)
    form = Companding.fit(values, bits)
    straight = [
        Companding(bits, np.abs(values).max() * s, (1.0,), True).squared_error(values) for s in (1, 0.8, 0.6, 0.4)
    ]
    assert form.squared_error(values) < min(straight)


def test_limited_normalization_multiplies_the_deviation_back():
    weights = np.random.default_rng(5).normal(0.2, 0.05, (8, 30))
    norm = LimitedNormalization.fit(weights)
    normalized = norm.apply(weights)
    np.testing.assert_allclose([normalized.mean(), normalized.std()], [0, 1], atol=1e-12)
    levels = Companding.fit(normalized, 4).levels()
    codes = levels.encode(normalized)
    np.testing.assert_allclose(norm.undo(levels).decode(codes), weights.std() * levels.decode(codes))


def test_impossible_companders_are_refused():
    with pytest.raises(InputError, match=r"^bits is 1; expected 2 to 8$"):
        Companding(1, 1.0, (1.0,), True)
    with pytest.raises(InputError, match=r"^alpha 1 and the shares of 2 intervals must be positive$"):
        Companding(2, 1.0, (1.0, 0.0), True)
    with pytest.raises(InputError, match=r"are empty or not finite; expected finite ones$"):
        Companding.fit(np.array([np.inf]), 4)
