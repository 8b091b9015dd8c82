"""Levels behind a table, in exact fractions and against what each paper minimizes."""

from fractions import Fraction
from itertools import combinations, product

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.binary import BinaryBases, binary, ternary
from hwsim.quantizers.codebook import codebook
from hwsim.quantizers.granularity import per_channel
from hwsim.quantizers.levels import Levels, nearest
from hwsim.quantizers.powers import additive_powers_of_two, apot_magnitudes, logarithmic, powers_of_two, terms_of

WEIGHTS = np.random.default_rng(6).normal(0, 0.1, (5, 60))


def squared_error(form, values):
    return float(((form.decode(form.encode(values)) - values) ** 2).sum())


def naive_nearest(levels, value):
    """The nearest level in exact fractions; ties to the smaller magnitude, then to the positive one."""
    exact = Fraction(float(value))
    return min(range(len(levels)), key=lambda c: (abs(levels[c] - exact), abs(levels[c]), -levels[c]))


@pytest.mark.parametrize("table", [[-3, -1, 0, 1, 3], [-1, 1], [0, 1, 2, 3, 5, 8], [-7, -2, 6], [2, 4, 6]])
def test_encode_takes_the_nearest_level(table):
    levels = nearest(np.array([table]), np.array([0.5]))
    values = np.arange(-20, 40) / 8
    exact = [Fraction(t, 2) for t in table]
    assert levels.encode(values).tolist() == [naive_nearest(exact, value) for value in values]
    np.testing.assert_array_equal(
        levels.decode(levels.encode(values)), [float(exact[c]) for c in levels.encode(values)]
    )


def test_slices_have_tables_of_their_own():
    levels = nearest(np.array([[-1, 1], [0, 3]]), np.array([1.0, 2.0]), per_channel(1))
    values = np.array([[-5.0, 2.9], [0.0, 3.1]])
    assert levels.encode(values).tolist() == [[0, 0], [1, 1]]
    assert levels.decode(levels.encode(values)).tolist() == [[-1.0, 0.0], [1.0, 6.0]]


def test_sizes():
    levels = nearest(np.array([[-4, 0, 3]] * 2), np.ones(2), per_channel(0))
    assert (levels.bits, levels.entry_bits, levels.table_bytes) == (2, 3, 2)
    assert levels.size_bytes(np.zeros((2, 9))) == 5 + 2 + 8
    assert nearest(np.array([[0.0, 0.3]]), np.ones(1)).table_bytes == 8
    entries = [[0, 255], [-128, 127], [-129, 0], [0, 1], [-1, 0]]
    assert [nearest(np.array([t]), np.ones(1)).entry_bits for t in entries] == [8, 8, 9, 1, 1]


def test_nan_has_no_level():
    with pytest.raises(InputError, match=r"^values hold NaN, which no level stands for$"):
        nearest(np.array([[0, 1]]), np.ones(1)).encode(np.array([np.nan]))


def test_requantized_levels_need_enough_bits():
    with pytest.raises(InputError, match=r"^outer bits is 1; expected 2 to 16$"):
        nearest(np.array([[-1, 1]]), np.ones(1)).requantized(1)


def test_apot_magnitudes_are_the_papers():
    """Section 9.2; in units of the smallest power of two."""
    sets = {2: [[1, 2, 3]], 3: [[1, 2, 4], [3]], 4: [[1, 3, 5], [2, 4, 6]], 5: [[1, 3, 6], [2, 4, 7], [5]],
            6: [[1, 4, 7], [2, 5, 8], [3, 6, 9]]}  # fmt: skip
    for bits, exponents in sets.items():
        sums = {sum(term) for term in product(*([Fraction(0), *(Fraction(1, 2**e) for e in s)] for s in exponents))}
        exact = sorted(value / max(sums) for value in sums)
        found = apot_magnitudes(bits)
        assert [Fraction(m, found[-1]) for m in found] == exact
        assert len(found) == 2**bits


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_powers_of_two_are_shifts(bits):
    form = powers_of_two(WEIGHTS, bits)
    assert form.table[0].tolist() == [-(1 << i) for i in range(2 ** (bits - 1) - 1)][::-1] + [0] + [
        1 << i for i in range(2 ** (bits - 1) - 1)
    ]
    assert form.bits == bits


@pytest.mark.parametrize("make", [powers_of_two, additive_powers_of_two])
@pytest.mark.parametrize("bits", [3, 4, 5])
def test_scale_is_the_least_squares_one_of_its_codes(make, bits):
    form = make(WEIGHTS, bits, granularity=per_channel(0))
    codes = form.encode(WEIGHTS)
    for channel in range(5):
        chosen = form.table[channel][codes[channel]]
        best = (WEIGHTS[channel] * chosen).sum() / (chosen * chosen).sum()
        np.testing.assert_allclose(form.scale[channel], best, rtol=1e-9)


@pytest.mark.parametrize(("make", "options"), [(powers_of_two, {}), (additive_powers_of_two, {}), (codebook, {})])
def test_data_on_the_grid_is_found_exactly(make, options):
    grid = np.array([-8, -4, -2, -1, 0, 1, 2, 4, 8]) * 0.03125
    values = np.tile(grid, 7)
    assert squared_error(make(values, 5, **options), values) < 1e-20


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7])
def test_terms_add_up_to_the_level(bits):
    table = additive_powers_of_two(WEIGHTS, bits).table[0]
    for level, (sign, *shifts) in zip(table.tolist(), terms_of(table).tolist(), strict=True):
        assert level == sign * sum(1 << shift for shift in shifts if shift >= 0)


def test_a_level_of_too_many_terms_is_refused():
    with pytest.raises(InputError, match=r"^level 15 is a sum of 4 powers of two; expected at most 3$"):
        terms_of(np.array([15]))


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("base", [2.0, 2.0**0.5])
def test_logarithmic_codes_round_the_logarithm(base, signed):
    values = np.random.default_rng(8).normal(0, 1, 400)
    form = logarithmic(values, 4, base=base, signed=signed)
    magnitudes = 2 ** (3 if signed else 4) - 1
    top = round(np.log(np.abs(values).max()) / np.log(base))
    expected = []
    for value in values:
        step = round(np.log(abs(value)) / np.log(base)) - top
        level = 0.0 if step <= -magnitudes or (value < 0 and not signed) else base ** (top + min(step, 0))
        expected.append(-level if value < 0 else level)
    np.testing.assert_allclose(form.decode(form.encode(values)), expected, rtol=1e-12)


def test_codebook_centers_are_the_means_of_their_members():
    form = codebook(WEIGHTS, 3)
    codes, levels = form.encode(WEIGHTS), form.levels[0]
    np.testing.assert_allclose([WEIGHTS[codes == c].mean() for c in range(8)], levels, rtol=1e-12)
    assert squared_error(form, WEIGHTS) < squared_error(powers_of_two(WEIGHTS, 4), WEIGHTS)


def test_binary_alpha_is_the_mean_magnitude():
    form = binary(WEIGHTS, granularity=per_channel(0))
    np.testing.assert_array_equal(form.scale, np.abs(WEIGHTS).mean(axis=1))
    np.testing.assert_array_equal(form.decode(form.encode(WEIGHTS)) > 0, WEIGHTS >= 0)
    tried = [((np.where(WEIGHTS[0] >= 0, a, -a) - WEIGHTS[0]) ** 2).sum() for a in np.linspace(0, 0.3, 301)]
    assert ((form.decode(form.encode(WEIGHTS)) - WEIGHTS)[0] ** 2).sum() <= min(tried)


def test_sign_of_zero_is_positive():
    assert binary(np.array([0.0, -0.0, 1.0])).encode(np.array([0.0, -0.0, -1e-300])).tolist() == [1, 1, 0]


def test_ternary_as_published_and_exactly():
    values = WEIGHTS[0]
    form, edge = ternary(values), 0.7 * np.abs(values).mean()
    assert (form.encode(values) - 1).tolist() == [int(np.sign(v)) if abs(v) >= edge else 0 for v in values]
    np.testing.assert_allclose(form.scale[0], np.abs(values)[np.abs(values) >= edge].mean())
    small = values[:8]
    exact = squared_error(ternary(small, exact=True), small)
    every = []
    for kept in range(1, 9):
        for chosen in combinations(range(8), kept):
            alpha = np.abs(small[list(chosen)]).mean()
            every.append(sum((abs(v) - alpha * (i in chosen)) ** 2 for i, v in enumerate(small)))
    assert abs(exact - min(every)) < 1e-15


def test_zeros_are_no_special_case():
    zeros = np.zeros((2, 3))
    for form in (
        binary(zeros),
        ternary(zeros),
        ternary(zeros, exact=True),
        powers_of_two(zeros, 3),
        codebook(zeros, 2),
    ):
        assert np.isfinite(form.decode(form.encode(zeros))).all()
    assert ternary(zeros).decode(ternary(zeros).encode(zeros)).tolist() == zeros.tolist()


@pytest.mark.parametrize("bases", [1, 2, 3, 5])
def test_bases_are_the_papers_and_alphas_least_squares(bases):
    form = BinaryBases.fit(WEIGHTS, bases, granularity=per_channel(0))
    codes = form.encode(WEIGHTS)
    for channel, row in enumerate(WEIGHTS):
        signs = []
        for m in range(bases):
            u = -1 + m * 2 / (bases - 1) if bases > 1 else 0.0
            signs.append(np.where(row - row.mean() + u * row.std() >= 0, 1, -1))
            np.testing.assert_array_equal(codes[channel] >> m & 1, signs[m] > 0)
        approximation = sum(a * s for a, s in zip(form.alphas[channel], signs, strict=True))
        np.testing.assert_allclose(form.decode(codes)[channel], approximation)
        for sign in signs:  # the rest is orthogonal to every base
            assert abs(((row - approximation) * sign).sum()) < 1e-12
    assert form.size_bytes(codes) == -(-300 * bases // 8) + 4 * 5 * bases


def test_more_bases_are_better():
    errors = [squared_error(BinaryBases.fit(WEIGHTS, bases), WEIGHTS) for bases in (1, 2, 3, 4, 5)]
    assert errors[-1] < errors[2] < errors[1] < errors[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: powers_of_two(WEIGHTS, 6), "bits is 6; expected 2 to 5"),
        (lambda: additive_powers_of_two(WEIGHTS, 8), "bits is 8; expected 2 to 7"),
        (lambda: logarithmic(WEIGHTS, 4, base=1.0), "base is 1; expected more than 1"),
        (lambda: codebook(WEIGHTS, 9), "bits is 9; expected 1 to 8"),
        (lambda: BinaryBases.fit(WEIGHTS, 0), "bases is 0; expected 1 to 8"),
    ],
)
def test_impossible_formats_are_refused(make, message):
    with pytest.raises(InputError, match=f"^{message}$"):
        make()


def test_levels_are_what_the_interface_says():
    form = Levels(np.array([[0, 2]]), np.array([0.5]), np.array([[0.5]]))
    assert (form.levels.tolist(), form.bits, form.is_integer) == ([[0.0, 1.0]], 1, True)
