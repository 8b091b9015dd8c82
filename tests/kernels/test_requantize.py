"""Every rounding rule against exact fractions, on ties, edges and random values."""

from fractions import Fraction
from functools import partial
from itertools import product

import numpy as np
import pytest

from hwsim.kernels import requantize as kernels
from hwsim.kernels.dyadic import MODES, round_shift_right
from hwsim.kernels.requantize import GENERAL_ROUNDINGS, ROUNDINGS, OutputStage
from hwsim.quantizers.multiplier import quantize_multiplier
from tests import naive

INTEGER_RULES = {
    "double_rounding": kernels.requantize_tflite_double_rounding,
    "double_half_up": kernels.requantize_ruy_double_half_up,
    "single_rounding": kernels.requantize_single_rounding,
}
FLOAT_RULES = {"float32": kernels.requantize_float32, "float64": kernels.requantize_float64}

ACCUMULATORS = [0, 1, -1, 2, -2, 3, -3, 5, -5, 7, 100, -100, 12345, -12345, 2**24 + 1, -(2**24) - 1]
EXTREMES = [2**31 - 1, -(2**31), -(2**31) + 1, 2**30]
MULTIPLIERS = [0, 2**30, 2**30 + 1, 3 * 2**29, 1518500250, 2**31 - 1]
SHIFTS = [-31, -30, -8, -2, -1, 0, 1, 2]


@pytest.mark.parametrize("rule", INTEGER_RULES)
def test_integer_rule_equals_exact_fractions(rule):
    expected = getattr(naive, rule)
    for acc, multiplier, shift in product(ACCUMULATORS + EXTREMES, MULTIPLIERS, SHIFTS):
        got = INTEGER_RULES[rule](np.int64(acc), np.int64(multiplier), np.int64(shift))
        assert got == expected(acc, multiplier, shift), (acc, multiplier, shift)


def test_reduced_int64_equals_exact_fractions():
    for acc, multiplier, shift in product([*ACCUMULATORS, *EXTREMES, 2**46, -(2**46) + 3], MULTIPLIERS, [*SHIFTS, 7]):
        got = kernels.requantize_reduced_int64(np.int64(acc), np.int64(multiplier), np.int64(shift))
        assert got == naive.reduced_int64(acc, multiplier, shift), (acc, multiplier, shift)


def test_reduced_int64_shifts_left_exactly():
    got = kernels.requantize_reduced_int64(np.int64(-12345), np.int64(1518500250), np.int64(20))
    assert got == naive.reduced_int64(-12345, 1518500250, 20)


@pytest.mark.parametrize("rule", FLOAT_RULES)
def test_float_rule_equals_exact_fractions(rule):
    expected = getattr(naive, rule)
    for acc, scale in product(ACCUMULATORS, [0.5, 0.25, 1.5, 0.37, 1e-3, 3.3e-5]):
        narrow = float(np.float32(scale))
        assert FLOAT_RULES[rule](np.int32(acc), narrow) == expected(acc, narrow), (acc, scale)


@pytest.mark.parametrize("mode", MODES)
def test_one_shift_equals_exact_fractions(mode):
    values = [*range(-40, 41), 2**62 - 1, -(2**62), 2**61, -(2**61) + 1, 3 * 2**40, -3 * 2**40]
    ways = {"half_up": naive.rounding.half_up}
    for value, shift in product(values, [0, 1, 2, 3, 4, 31, 41, 61, 62]):
        exact = Fraction(value, 1 << shift)
        expected = ways[mode](exact) if mode in ways else naive.rounding.dyadic(mode, value, 1, 31 - shift)
        assert round_shift_right(np.int64(value), np.int64(shift), MODES[mode]) == expected, (value, shift)


@pytest.mark.parametrize("rule", [name for name in GENERAL_ROUNDINGS if name.startswith(("dyadic", "float64_"))])
def test_one_rounding_of_a_product_equals_exact_fractions(rule):
    for multiplier, shift in product([m for m in MULTIPLIERS if m], SHIFTS):
        acc = np.array([[a] for a in ACCUMULATORS + EXTREMES], np.int32)
        arrays = np.array([multiplier]), np.array([shift]), np.array([multiplier * 2.0 ** (shift - 31)])
        out = np.empty(acc.shape, np.int64)
        kernels.requantize_rows(acc, OutputStage(ROUNDINGS[rule], *arrays, 5, -(2**40), 2**40), out)
        way = naive.rounding.float64_half_even
        if rule.startswith("dyadic"):
            way = partial(naive.rounding.dyadic, rule.removeprefix("dyadic_"))
        assert out[:, 0].tolist() == [way(int(a), multiplier, shift) + 5 for a in acc[:, 0]], (multiplier, shift)


def test_a_float_bias_joins_the_sum_in_float32():
    generator = np.random.default_rng(3)
    acc = generator.integers(-(2**26), 2**26, (50, 3), np.int32)
    scale, bias = np.array([0.37, 1e-4, 3.3e-6]).astype(np.float32), generator.normal(0, 1e5, 3).astype(np.float32)
    nothing, out = np.zeros(3, np.int64), np.empty(acc.shape, np.int64)
    stage = OutputStage(ROUNDINGS["float32_bias"], nothing, nothing, scale.astype(np.float64), 3, -(2**31), 2**31, bias)
    kernels.requantize_rows(acc, stage, out)
    for (row, c), code in np.ndenumerate(out):
        product = (np.float32(acc[row, c]) + bias[c]) * scale[c]
        assert code == round(Fraction(float(product))) + 3


def test_float_rules_stay_within_int32():
    for rule in FLOAT_RULES.values():
        assert rule(np.int32(2**31 - 1), 200.0) >= 2**31 - 128
        assert rule(np.int32(-(2**31)), 200.0) == -(2**31)


def test_doubling_high_multiply_saturates_only_at_the_corner():
    lowest = np.int64(-(2**31))
    assert kernels.doubling_high_multiply(lowest, lowest) == 2**31 - 1
    assert kernels.doubling_high_multiply(lowest, np.int64(2**31 - 1)) == -(2**31) + 1


@pytest.mark.parametrize(
    "value", [-2.5, -1.5, -0.5, -0.49999999999999994, 0.0, 0.49999999999999994, 0.5, 1.5, 2.5, 1e9]
)
def test_round_half_away_is_c_round(value):
    from tests.naive.rounding import half_away

    assert kernels.round_half_away(np.float64(value)) == half_away(Fraction(value))


@pytest.mark.parametrize("rule", [*GENERAL_ROUNDINGS, "accumulator"])
def test_requantize_rows_applies_each_channels_own_scale(rule):
    generator = np.random.default_rng(5)
    acc = generator.integers(-30000, 30000, (9, 11), np.int32)
    real = np.array([0.5, 0.25, 0.013, 0.37, 1.5, 0.5, 0.25, 0.5, 0.5, 0.25, 0.125])
    stage = OutputStage(ROUNDINGS[rule], *quantize_multiplier(real), real, -3, -100, 120)
    out = np.empty(acc.shape, np.int8)
    kernels.requantize_rows(acc, stage, out)
    if rule == "accumulator":
        np.testing.assert_array_equal(out, np.clip(acc.astype(np.int64) - 3, -100, 120))
    else:
        rule = "optimized_depthwise" if rule == "double_half_up_by_8" else rule
        np.testing.assert_array_equal(out, naive.output_stage(acc, rule, list(real), -3, -100, 120))
