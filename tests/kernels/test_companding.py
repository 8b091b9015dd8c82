"""Learned companding in one pass: codes against exact fractions, sums against plain loops."""

from fractions import Fraction

import numpy as np
import pytest

from hwsim.kernels.companding import compand, compand_backward
from hwsim.quantizers.companding import Companding

ALPHA = 1.75


def tables(form):
    """`starts`, `rises` and levels as the kernel takes them, and places per unit."""
    shares = [Fraction(share) for share in form.shares]
    rises = [form.steps * share / sum(shares) for share in shares] + [Fraction(0)]
    starts = [sum(rises[:i], Fraction(0)) for i in range(len(rises))]
    levels = [ALPHA * level for level in form.magnitudes()]
    return [np.array([float(v) for v in part]) for part in (starts, rises, levels)], len(shares) / ALPHA


def values(dtype, count=400):
    drawn = np.random.default_rng(5).normal(0, 1.2, count)
    return np.append(drawn, [0.0, -0.0, ALPHA, 1e30, -1e30, np.inf, -np.inf, np.nan]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_codes_and_levels(bits, dtype):
    shares = tuple(np.random.default_rng(bits).uniform(0.2, 1, 16).tolist())
    form, x = Companding(bits, ALPHA, shares, signed=False), values(dtype)
    (starts, rises, levels), per_alpha = tables(form)
    codes, out = np.empty(x.size, np.uint8), np.empty_like(x)
    compand(x, per_alpha, starts, rises, levels, codes, out)
    for value, code in zip(x.tolist(), codes.tolist(), strict=True):
        limited = Fraction(min(max(value, 0.0), ALPHA)) / Fraction(ALPHA) if value == value else Fraction(1)
        exact = form.compress(limited) * form.steps
        assert code == round(exact) or abs(exact % 1 - Fraction(1, 2)) < Fraction(1, 10**9)
    np.testing.assert_array_equal(out, levels[codes].astype(dtype))


def test_sums_of_the_backward_pass():
    form, x = Companding(3, ALPHA, (0.4, 0.1, 0.3, 0.2), signed=False), values("float64")[:-1]
    (starts, rises, levels), per_alpha = tables(form)
    codes, out, gradient = np.empty(x.size, np.uint8), np.empty_like(x), np.random.default_rng(6).normal(size=x.size)
    compand(x, per_alpha, starts, rises, levels, codes, out)
    dx, sums, placed = np.empty_like(x), np.zeros((5, 8)), np.zeros((5, 8))
    compand_backward(x, per_alpha, codes, gradient, dx, sums, placed)
    np.testing.assert_array_equal(dx, np.where((x > 0) & (x < ALPHA), gradient, 0))
    expected, expected_placed = np.zeros((5, 8)), np.zeros((5, 8))
    for value, code, towards in zip(x.tolist(), codes.tolist(), gradient.tolist(), strict=True):
        if value > 0:
            place = min(value * per_alpha, 4.0)
            expected[int(place), code] += towards
            expected_placed[int(place), code] += towards * place
    np.testing.assert_allclose(sums, expected, atol=1e-12)
    np.testing.assert_allclose(placed, expected_placed, atol=1e-12)
