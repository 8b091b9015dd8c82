from fractions import Fraction

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.granularity import PER_SAMPLE, PER_TENSOR, per_channel, per_group, per_part
from hwsim.quantizers.rounding import stochastic
from hwsim.quantizers.uniform import KINDS, METHODS, Uniform

VALUES = np.random.default_rng(1).normal(0.1, 1.0, (6, 40))


def naive_codes(form, values):
    """Code of each value in exact fractions, per-tensor formats only; ties to even, which round() does."""
    scale, offset = Fraction(float(form.scale[0])), Fraction(float(form.offset[0]))
    whole = [round((Fraction(float(v)) - offset) / scale) + int(form.zero_point[0]) for v in values.reshape(-1)]
    return np.array([min(max(code, form.low), form.high) for code in whole]).reshape(values.shape)


def error(form, values):
    return float(((form.decode(form.encode(values)) - values) ** 2).sum())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_codes_are_those_of_exact_fractions(kind, method, bits):
    values = np.abs(VALUES) if kind == "unsigned" else VALUES
    form = Uniform.fit(values, bits, kind=kind, method=method)
    codes = form.encode(values)
    np.testing.assert_array_equal(codes, naive_codes(form, values))
    assert codes.min() >= form.low and codes.max() <= form.high and form.high - form.low < 2**bits
    np.testing.assert_array_equal(form.decode(codes), form.levels[0][codes - form.low])


def test_scales_of_symmetric_kinds_are_the_surveys():
    values = np.array([-3.0, 1.0, 2.0])
    assert Uniform.fit(values, 8).scale[0] == 3.0 / 127
    assert Uniform.fit(values, 8, kind="full").scale[0] == 3.0 / 127.5
    assert (Uniform.fit(values, 8).low, Uniform.fit(values, 8, kind="full").low) == (-127, -128)


@pytest.mark.parametrize("values", [[-1.0, 3.0], [2.0, 5.0], [-5.0, -2.0], [0.0, 0.0]])
def test_affine_format_has_a_code_for_zero(values):
    form = Uniform.fit(np.array(values), 4, kind="affine")
    assert 0.0 in form.levels[0]
    assert form.offset.tolist() == [0.0]


def test_offset_format_spans_exactly_what_was_seen():
    form = Uniform.fit(np.array([2.0, 2.5, 5.0]), 2, kind="offset")
    np.testing.assert_array_equal(form.levels[0], [2.0, 3.0, 4.0, 5.0])


@pytest.mark.parametrize("kind", ["restricted", "affine", "offset"])
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_least_squares_is_no_worse_than_a_search(kind, bits):
    form = Uniform.fit(VALUES, bits, kind=kind, method="mse")
    found = error(form, VALUES)
    low, high, tried = VALUES.min(), VALUES.max(), []
    for shrink in np.linspace(0.15, 1.1, 96):
        scale = (
            np.array([max(-low, high) / form.high]) if kind == "restricted" else np.array([(high - low) / form.high])
        )
        for move in np.linspace(-0.5, 0.5, 11) if kind == "offset" else [0.0]:
            zero = form.zero_point if kind != "affine" else np.array([round(-low / (high - low) * form.high)])
            offset = np.array([low * shrink + move * scale[0]]) if kind == "offset" else np.zeros(1)
            tried.append(error(Uniform(bits, form.low, form.high, scale * shrink, zero, offset), VALUES))
    assert found <= min(tried)
    assert found <= error(Uniform.fit(VALUES, bits, kind=kind), VALUES)


def test_least_squares_finds_scale_and_offset_jointly():
    codes = np.random.default_rng(2).integers(0, 8, 500)
    values = 0.37 * codes - 0.9
    form = Uniform.fit(values, 3, kind="offset", method="mse")
    np.testing.assert_allclose([form.scale[0], form.offset[0]], [0.37, -0.9], rtol=1e-12)
    np.testing.assert_array_equal(form.encode(values), codes)


@pytest.mark.parametrize("granularity", [per_channel(0), per_group(0, 4), per_part(0, 16)], ids=str)
def test_each_slice_is_fitted_alone(granularity):
    values = VALUES * np.arange(1, 7)[:, None]
    form = Uniform.fit(values, 4, kind="affine", granularity=granularity)
    codes, decoded = form.encode(values), form.decode(form.encode(values))
    for number, part in enumerate(granularity.split(values)):
        alone, where = Uniform.fit(part, 4, kind="affine"), granularity.index(values.shape) == number
        np.testing.assert_array_equal(codes[where], alone.encode(part))
        np.testing.assert_array_equal(decoded[where], alone.decode(alone.encode(part)))
    assert error(form, values) < error(Uniform.fit(values, 4, kind="affine"), values)
    assert form.size_bytes(codes) == 120 + 8 * granularity.count(values.shape)


def test_dynamic_ranges_are_each_samples_own():
    form = Uniform.fit(VALUES, 8, granularity=PER_SAMPLE)
    np.testing.assert_array_equal(form.scale, np.abs(VALUES).max(axis=1) / 127)


def test_percentile_gives_outliers_up():
    values = np.append(np.linspace(-1, 1, 1001), 50.0)
    assert Uniform.fit(values, 8, method="percentile", percent=99).scale[0] < 1.0 / 127
    assert Uniform.fit(values, 8).scale[0] == 50.0 / 127


def test_stochastic_codes_keep_the_mean():
    values = np.full(20_000, 0.3)
    form = Uniform(4, -7, 7, np.ones(1), np.zeros(1, int), np.zeros(1), PER_TENSOR)
    assert abs(form.decode(form.encode(values, stochastic(3))).mean() - 0.3) < 0.02


def test_impossible_requests_are_refused():
    with pytest.raises(InputError, match=r"^bits is 1; expected 2 to 16 for a format of kind 'restricted'$"):
        Uniform.fit(VALUES, 1)
    with pytest.raises(InputError, match=r"^unknown method 'mes'; did you mean 'mse'\?$"):
        Uniform.fit(VALUES, 4, method="mes")
    with pytest.raises(InputError, match=r"^unknown kind 'afine'; did you mean 'affine'\?$"):
        Uniform.fit(VALUES, 4, kind="afine")
    with pytest.raises(InputError, match=r"^the smallest value is -1; a format of kind 'unsigned' holds none below 0$"):
        Uniform.fit(np.array([-1.0, 1.0]), 4, kind="unsigned")
