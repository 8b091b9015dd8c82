"""float32 exponentials to the last bit of the C library that the engines' tables are built with.

NumPy's own float32 exponential differs from it in the last bit on a third of all arguments.
Source: Arm optimized routines, math/expf.c (glibc since 2.27): a table of 2^(i/32) and a cubic, in float64.
"""

from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

_TABLE_BITS = 5
_SIZE = 1 << _TABLE_BITS
_SCALED_LOG2_E = float.fromhex("0x1.71547652b82fep+0") * _SIZE
_CUBIC = (
    float.fromhex("0x1.c6af84b912394p-5") / _SIZE**3,
    float.fromhex("0x1.ebfce50fac4f3p-3") / _SIZE**2,
    float.fromhex("0x1.62e42ff0c52d6p-1") / _SIZE,
)


def expf(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """C's expf of finite float32 `values` in [-87, 88]; below, where results turn subnormal, rounded once as well.

    values : float32 array, any shape; returns the same shape
    """
    scaled = values.astype(np.float64) * _SCALED_LOG2_E
    whole = np.rint(scaled)
    rest = scaled - whole
    steps = whole.astype(np.int64)
    power = np.ldexp(_powers()[steps % _SIZE], steps // _SIZE)
    high = _CUBIC[0] * rest + _CUBIC[1]
    low = _CUBIC[2] * rest + 1.0
    result: NDArray[np.float32] = ((high * (rest * rest) + low) * power).astype(np.float32)
    return result


def _powers() -> NDArray[np.float64]:
    """2^(i/32), each rounded once to float64."""
    with localcontext() as context:
        context.prec = 40
        return np.array([float(Decimal(2) ** (Decimal(i) / _SIZE)) for i in range(_SIZE)])
