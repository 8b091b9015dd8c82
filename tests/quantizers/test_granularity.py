import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.granularity import PER_TENSOR, Granularity, per_channel, per_group, per_part

SHAPE = (4, 3, 5)


def naive_index(granularity, shape):
    """The slice of each element, one by one."""
    out = np.zeros(shape, int)
    for place in np.ndindex(*shape):
        if granularity.axis is None:
            continue
        channel = place[granularity.axis]
        rest, position = [n for i, n in enumerate(shape) if i != granularity.axis], 0
        for size, at in zip(rest, [p for i, p in enumerate(place) if i != granularity.axis], strict=True):
            position = position * size + at
        if granularity.part is None:
            out[place] = channel // granularity.channels
        else:
            length = int(np.prod(rest))
            out[place] = channel * -(-length // granularity.part) + position // granularity.part
    return out


@pytest.mark.parametrize(
    "granularity",
    [PER_TENSOR, *map(per_channel, range(3)), per_group(0, 3), per_group(2, 2), per_part(1, 4), per_part(0, 5)],
    ids=str,
)
def test_every_element_belongs_to_its_slice(granularity):
    expected = naive_index(granularity, SHAPE)
    np.testing.assert_array_equal(granularity.index(SHAPE), expected)
    assert granularity.count(SHAPE) == expected.max() + 1
    values = np.arange(60.0).reshape(SHAPE)
    for number, part in enumerate(granularity.split(values)):
        np.testing.assert_array_equal(np.sort(part), np.sort(values[expected == number]))
    parameters = np.arange(granularity.count(SHAPE)) * 10
    np.testing.assert_array_equal(np.broadcast_to(granularity.spread(parameters, SHAPE), SHAPE), expected * 10)


def test_impossible_granularities_are_refused():
    with pytest.raises(InputError, match=r"^parts of a channel need an axis, and one channel each$"):
        Granularity(part=4)
    with pytest.raises(InputError, match=r"^granularity has 0 channels, parts of None; expected at least 1$"):
        Granularity(0, 0)
    with pytest.raises(InputError, match=r"^granularity has axis 3; the tensor's shape is \[4, 3, 5\]$"):
        per_channel(3).index(SHAPE)


@pytest.mark.parametrize("values", [np.empty(0), np.array([1.0, np.nan]), np.array([np.inf])])
def test_values_without_a_range_are_refused(values):
    with pytest.raises(InputError, match=r"are empty or not finite; a range needs finite ones$"):
        PER_TENSOR.split(values)
