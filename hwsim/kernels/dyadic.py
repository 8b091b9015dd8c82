"""An exact product in int64, shifted right and rounded once: scales that are dyadic numbers b / 2^c.

Source: Gholami et al., A Survey of Quantization Methods (arXiv 2103.13630), section IV-B; who rounds how is in
`hwsim/engines`.
"""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.integers import clamp

MODES = {"floor": 0, "half_up": 1, "half_away": 2, "half_even": 3, "truncate": 4}
"""Ways to round: down; to nearest with ties up, away from zero or to even; toward zero."""

_FLOOR, _HALF_UP, _HALF_AWAY, _HALF_EVEN, _TRUNCATE = range(5)


@kernel
def round_shift_right(value, shift, mode):
    """value / 2^shift, rounded as `mode`, a value of `MODES`. value : int64; shift : in [0, 62]."""
    if shift == 0:
        return np.int64(value)
    down = np.int64(value) >> np.int64(shift)
    rest = np.int64(value) - (down << np.int64(shift))
    half = np.int64(1) << np.int64(shift - 1)
    if mode == _FLOOR:
        up = False
    elif mode == _HALF_UP:
        up = rest >= half
    elif mode == _HALF_AWAY:
        up = rest > half or (rest == half and value >= 0)
    elif mode == _HALF_EVEN:
        up = rest > half or (rest == half and down & np.int64(1) == 1)
    else:
        up = value < 0 and rest != 0
    return down + np.int64(up)


@kernel
def add_common_shift(first, second, p, mode, out):
    """Both inputs times their integer multipliers, added in int64, shifted right and rounded once.

    first, second, out : 8 bits, (samples, size); p : AddParams, of which `multipliers` are at most 2^31, `shift`
    counts to the right and is in [0, 62], input shifts and the sum's multiplier are not used
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            total = (np.int64(first[n, i]) - np.int64(p.zero_points[0])) * np.int64(p.multipliers[0])
            total += (np.int64(second[n, i]) - np.int64(p.zero_points[1])) * np.int64(p.multipliers[1])
            value = round_shift_right(total, p.shift, mode) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
