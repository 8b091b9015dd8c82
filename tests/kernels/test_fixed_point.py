import numpy as np
import pytest

from hwsim.kernels.fixed_point import exp_of_negative, leading_zeros, reciprocal_of_one_plus, rescale
from tests.naive.softmax import exp_negative, one_over_one_plus


@pytest.mark.parametrize(
    ("value", "bits", "expected"),
    [
        (5, -1, 3),
        (-5, -1, -3),
        (4, -2, 1),
        (2**28 - 1, 3, 2**31 - 8),
        (2**28, 3, 2**31 - 1),
        (-(2**28) + 1, 3, -(2**31) + 8),
        (-(2**28), 3, -(2**31)),
        (-7, 0, -7),
    ],
)
def test_rescale_rounds_to_the_right_and_saturates_to_the_left(value, bits, expected):
    assert rescale(np.int64(value), bits) == expected


@pytest.mark.parametrize("integer_bits", [1, 3, 5, 6])
def test_exp_of_negative_equals_the_oracle(integer_bits):
    for real in np.linspace(-1, 0, 100):
        code = round(float(real) * 2**31)
        assert exp_of_negative(np.int64(code), integer_bits) == exp_negative(code, integer_bits)


def test_exp_of_negative_vanishes_beyond_32():
    assert exp_of_negative(np.int64(-(2**31)), 6) == 0


def test_reciprocal_of_one_plus_equals_the_oracle():
    for real in np.linspace(0, 1, 100, endpoint=False):
        code = round(float(real) * 2**31)
        assert reciprocal_of_one_plus(np.int64(code)) == one_over_one_plus(code)


@pytest.mark.parametrize("value", [0, 1, 2, 3, 2**16, 2**31 - 1, 2**31, 2**32 - 1])
def test_leading_zeros_counts_from_bit_31(value):
    assert leading_zeros(np.int64(value)) == 32 - value.bit_length()
