"""Integer scales of runs of weights: codes and sums in plain Python integers."""

from fractions import Fraction

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.granularity import per_channel
from hwsim.quantizers.grouped import GroupedScales
from hwsim.quantizers.uniform import Uniform

WEIGHTS = np.random.default_rng(4).normal(0, 1, (3, 2, 2, 5)) * np.linspace(0.1, 2, 5)


@pytest.mark.parametrize("axis", [0, 3])
def test_levels_are_scale_times_multiplier_times_code(axis):
    form = GroupedScales.fit(WEIGHTS, 4, axis=axis, size=6)
    codes, real = form.encode(WEIGHTS), form.decode(form.encode(WEIGHTS))
    channels = WEIGHTS.shape[axis]
    assert form.multipliers.shape == (channels, -(-60 // channels // 6))
    assert form.multipliers.min() >= 1 and form.multipliers.max() <= 15
    flat = [np.moveaxis(a, axis, 0).reshape(channels, -1).tolist() for a in (codes, real, WEIGHTS)]
    for channel, (row, levels, weights) in enumerate(zip(*flat, strict=True)):
        for place, (code, level, weight) in enumerate(zip(row, levels, weights, strict=True)):
            step = Fraction(float(form.scale[channel])) * int(form.multipliers[channel, place // 6])
            assert float(step * code) == pytest.approx(level, rel=1e-15)
            assert -7 <= code <= 7
            nearest = min(range(-7, 8), key=lambda c: abs(step * c - Fraction(weight)))
            assert abs(step * code - Fraction(weight)) <= abs(step * nearest - Fraction(weight)) + Fraction(1, 10**12)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_error_is_less_than_with_one_scale_per_channel(bits):
    one = Uniform.fit(WEIGHTS, bits, kind="restricted", method="mse", granularity=per_channel(0))
    many = GroupedScales.fit(WEIGHTS, bits, axis=0, size=4)
    errors = [((form.decode(form.encode(WEIGHTS)) - WEIGHTS) ** 2).sum() for form in (one, many)]
    assert errors[1] < errors[0]


def test_a_multiplier_is_the_best_of_all_for_its_run():
    form = GroupedScales.fit(WEIGHTS, 3, axis=0, size=10)
    run, scale = WEIGHTS[1].reshape(-1)[10:].tolist(), float(form.scale[1])

    def error(multiplier):
        return sum(min((scale * multiplier * code - w) ** 2 for code in range(-3, 4)) for w in run)

    assert error(int(form.multipliers[1, 1])) == pytest.approx(min(map(error, range(1, 16))), rel=1e-12)


def test_zeros_and_bad_widths():
    form = GroupedScales.fit(np.zeros((2, 5)), 4, axis=0, size=2)
    assert not form.encode(np.zeros((2, 5))).any() and (form.scale > 0).all()
    for bits, multiplier_bits in ((1, 4), (9, 4), (4, 0)):
        with pytest.raises(InputError, match="expected 2 to 8 and 1 to 8"):
            GroupedScales.fit(WEIGHTS, bits, axis=0, size=4, multiplier_bits=multiplier_bits)
