"""Overlaps of boxes against fractions."""

from fractions import Fraction

import numpy as np
import pytest

from hwsim.kernels.detection import intersection_over_union

BOXES = [(0, 0, 4, 4), (2, 2, 6, 6), (0, 0, 4, 2), (8, 8, 9, 9), (1, 1, 1, 5), (3, 5, 2, 6), (-2, -1, 3, 3)]


@pytest.mark.parametrize("one", BOXES)
@pytest.mark.parametrize("other", BOXES)
def test_overlap_is_the_common_share_and_0_of_what_has_no_area(one, other):
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    sides = [max(min(one[k + 2], other[k + 2]) - max(one[k], other[k]), 0) for k in (0, 1)]
    common = sides[0] * sides[1]
    expected = Fraction(common, sum(areas) - common) if min(areas) > 0 else Fraction(0)
    got = intersection_over_union(np.array(one, np.float32), np.array(other, np.float32))
    assert got == np.float32(float(expected))
