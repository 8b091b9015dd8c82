"""Float32 arithmetic that is rounded once where plain instructions would round twice. Finite values, none subnormal."""

import numpy as np

from hwsim.kernels import kernel


@kernel
def float32_sum(first, second):
    """float32(first + second), rounded once, for float64 values.

    The float64 sum is nearly exact: where a tie of float32 was only made by rounding it, what was lost decides.
    """
    total = first + second
    part = total - first
    lost = (first - (total - part)) + (second - part)
    nearest = np.float64(np.float32(total))
    across = nearest + 2.0 * (total - nearest)
    if lost != 0.0 and total != nearest and np.float64(np.float32(across)) == across:
        return np.float32(max(nearest, across)) if lost > 0.0 else np.float32(min(nearest, across))
    return np.float32(total)


@kernel
def fused_multiply_add(a, b, c):
    """float32(a * b + c), rounded once, for float32 values, whose product float64 holds: as one instruction does it."""
    return float32_sum(np.float64(a) * np.float64(b), np.float64(c))
