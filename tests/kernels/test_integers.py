import numpy as np
import pytest

from hwsim.kernels.integers import clamp, wrap_int16, wrap_int32
from tests.naive.rounding import wrap

EDGES = [0, 1, -1, 2**15 - 1, 2**15, -(2**15), 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**40 + 5, -(2**40) - 5]


@pytest.mark.parametrize("value", EDGES)
def test_wrap_keeps_the_low_bits(value):
    assert wrap_int32(np.int64(value)) == wrap(value, 32)
    assert wrap_int16(np.int64(value)) == wrap(value, 16)


@pytest.mark.parametrize(("value", "expected"), [(-9, -5), (-5, -5), (0, 0), (7, 7), (8, 7)])
def test_clamp_limits_to_both_ends(value, expected):
    assert clamp(value, -5, 7) == expected
