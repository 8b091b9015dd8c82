import math
from fractions import Fraction

import numpy as np
import pytest

from hwsim.quantizers.multiplier import activation_bounds, effective_scale, narrowed, quantize_multiplier
from tests import naive


@pytest.mark.parametrize(
    "real", [0.0, 0.5, 1.0, 0.75, 1 - 2**-33, 1 - 2**-54, 3e-35, 2.0**-32, 2.0**-33, 123.456, 1e-3]
)
def test_quantize_multiplier_equals_exact_arithmetic(real):
    multiplier, shift = quantize_multiplier(real)
    assert (int(multiplier[0]), int(shift[0])) == naive.quantize_multiplier(real)


def test_quantize_multiplier_keeps_random_reals():
    reals = np.random.default_rng(0).uniform(1e-6, 2, 500)
    multiplier, shift = quantize_multiplier(reals)
    assert [(int(m), int(s)) for m, s in zip(multiplier, shift, strict=True)] == [
        naive.quantize_multiplier(float(real)) for real in reals
    ]


@pytest.mark.parametrize("precision", ["float64", "float32_product", "float32"])
def test_effective_scale_rounds_where_the_engine_does(precision):
    generator = np.random.default_rng(1)
    weights = generator.uniform(0.001, 0.1, 50).astype(np.float32)
    si, so = float(np.float32(0.0217)), float(np.float32(0.0713))
    expected = naive.effective_scales(precision, si, [float(w) for w in weights], so)
    assert effective_scale(si, weights, so, precision).tolist() == [float(e) for e in expected]


def test_effective_scale_names_the_precisions():
    with pytest.raises(
        ValueError,
        match=r"^scale precision 'float16'; expected one of float64, .*, float32_reciprocal, .*, power_of_two$",
    ):
        effective_scale(1.0, np.ones(1, np.float32), 1.0, "float16")


@pytest.mark.parametrize(("precision", "bits"), [("8_bits", 8), ("15_bits", 15)])
def test_a_narrow_multiplier_keeps_its_bits(precision, bits):
    ties = [(2 * k + 1) * 2.0**e for k in (64, 100, 127, 2**13, 2**14 - 1) for e in (-9, 0, 5)]
    for real in [*ties, *np.random.default_rng(2).uniform(1e-6, 2, 300)]:
        unit = Fraction(2) ** (math.frexp(real)[1] - bits)
        assert (
            Fraction(float(narrowed(np.array([real]), precision)[0]))
            == naive.rounding.half_away(Fraction(real) / unit) * unit
        )


def test_power_of_two_is_the_nearest_by_exponent():
    root = math.sqrt(0.5)
    edges = [root, math.nextafter(root, 0), math.nextafter(root, 1), 0.5, 1.0, 1.4142135623730951, 1.414213562373095]
    for real in [*edges, *np.random.default_rng(4).uniform(1e-6, 3, 300)]:
        found = Fraction(float(narrowed(np.array([real]), "power_of_two")[0]))
        assert found.numerator & (found.numerator - 1) == 0 == found.denominator & (found.denominator - 1)
        assert found**2 / 2 <= Fraction(real) ** 2 < found**2 * 2, real
    assert narrowed(np.array([0.0]), "power_of_two")[0] == 0


@pytest.mark.parametrize("activation", ["none", "relu", "relu6", "relu_n1_to_1"])
@pytest.mark.parametrize(("scale", "zero_point"), [(0.05, -128), (0.0235, 3), (1e-9, 0), (0.5, 127)])
def test_activation_bounds_equal_the_oracle(activation, scale, zero_point):
    got = activation_bounds(activation, scale, zero_point, (-128, 127))
    assert got == naive.activation_range(activation, scale, zero_point, "int8")
