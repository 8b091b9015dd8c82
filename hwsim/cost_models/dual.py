"""Numbers that carry their slopes: what a cost model makes of them comes out with its derivative by every constant.

Forward-mode differentiation (Griewank and Walther, Evaluating Derivatives, 2008): a cost model written for floats runs
on these unchanged, `max` and `min` included, and gives exact slopes in one run instead of one run per constant.
"""

from math import ceil, floor
from typing import Union

import numpy as np
from numpy.typing import NDArray

Slopes = NDArray[np.float64]
Scalar = Union[float, "Dual"]


class Dual:
    """A value and its slopes.

    Parameters
    ----------
    value : the number
    slopes : its derivative by each constant
    """

    __array_ufunc__ = None
    __slots__ = ("slopes", "value")

    def __init__(self, value: float, slopes: Slopes) -> None:
        self.value = value
        self.slopes = slopes

    def __add__(self, other: Scalar) -> "Dual":
        if isinstance(other, Dual):
            return Dual(self.value + other.value, self.slopes + other.slopes)
        return Dual(self.value + other, self.slopes)

    __radd__ = __add__

    def __neg__(self) -> "Dual":
        return Dual(-self.value, -self.slopes)

    def __sub__(self, other: Scalar) -> "Dual":
        return self + -other

    def __rsub__(self, other: float) -> "Dual":
        return -self + other

    def __mul__(self, other: Scalar) -> "Dual":
        if isinstance(other, Dual):
            return Dual(self.value * other.value, self.value * other.slopes + other.value * self.slopes)
        return Dual(self.value * other, self.slopes * other)

    __rmul__ = __mul__

    def __truediv__(self, other: Scalar) -> "Dual":
        if isinstance(other, Dual):
            value = self.value / other.value
            return Dual(value, (self.slopes - value * other.slopes) / other.value)
        return Dual(self.value / other, self.slopes / other)

    def __rtruediv__(self, other: float) -> "Dual":
        value = other / self.value
        return Dual(value, self.slopes * (-value / self.value))

    def __lt__(self, other: Scalar) -> bool:
        return self.value < plain(other)

    def __le__(self, other: Scalar) -> bool:
        return self.value <= plain(other)

    def __gt__(self, other: Scalar) -> bool:
        return self.value > plain(other)

    def __ge__(self, other: Scalar) -> bool:
        return self.value >= plain(other)

    def __bool__(self) -> bool:
        return self.value != 0

    def __ceil__(self) -> int:
        return ceil(self.value)

    def __floor__(self) -> int:
        return floor(self.value)


def plain(number: Scalar) -> float:
    """The value alone."""
    return number.value if isinstance(number, Dual) else number


def slopes_of(number: Scalar, count: int) -> Slopes:
    """The slopes by `count` constants; zero of a plain number."""
    return number.slopes if isinstance(number, Dual) else np.zeros(count)
