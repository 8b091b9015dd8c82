import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.rounding import ROUNDINGS, rounding, stochastic

TIES = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
EXPECTED = {
    "half_even": [-2, -2, 0, 0, 2, 2],
    "half_away": [-3, -2, -1, 1, 2, 3],
    "half_up": [-2, -1, 0, 1, 2, 3],
}


@pytest.mark.parametrize("name", sorted(ROUNDINGS))
def test_ties_go_where_the_name_says(name):
    assert rounding(name)(TIES).tolist() == EXPECTED[name]


@pytest.mark.parametrize("name", sorted(ROUNDINGS))
def test_other_values_go_to_the_nearest(name):
    below = np.nextafter(0.5, 0)
    assert rounding(name)(np.array([-1.3, below, -below, 1.7, 2.0**52 + 1])).tolist() == [-1, 0, 0, 2, 2**52 + 1]


def test_stochastic_keeps_the_mean_and_repeats_with_its_seed():
    values = np.full(100_000, -0.3)
    drawn = stochastic(7)(values)
    assert set(drawn.tolist()) == {-1.0, 0.0}
    assert abs(drawn.mean() + 0.3) < 0.01
    np.testing.assert_array_equal(drawn, stochastic(7)(values))
    assert (drawn != stochastic(8)(values)).any()


def test_stochastic_leaves_whole_numbers_alone():
    np.testing.assert_array_equal(stochastic(1)(np.arange(-5.0, 5.0)), np.arange(-5.0, 5.0))


def test_unknown_rounding_is_named():
    with pytest.raises(InputError, match=r"^unknown rounding 'half_evn'; did you mean 'half_even'\?$"):
        rounding("half_evn")
