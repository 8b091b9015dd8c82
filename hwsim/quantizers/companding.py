"""LCQ: uniform codes behind a learned piecewise-linear function, so that levels lie where the values are.

Q(x) = sgn(x) * alpha * f^-1(round(s * f(|x| / alpha)) / s), ties to even, f piecewise linear on K equal intervals of
[0, 1]. Here f is held as the share of the codes that each interval takes, softmax(theta) in the paper. All that an
engine needs of it is a table of levels and, for activations, the thresholds between them; both are computed in exact
fractions.

Source: Yamamoto, Learnable Companding Quantization for Accurate Low-bit Neural Networks, CVPR 2021 (arXiv 2103.07156).
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import exp, inf, nextafter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.quantizers.levels import Levels

Reals = NDArray[np.float64]
INTERVALS = 16
STARTS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
FLATTEST = 1e-3


@dataclass(frozen=True, slots=True)
class Companding:
    """A fitted compander.

    Parameters
    ----------
    bits : of a code; signed ones have 2^bits - 1 levels
    alpha : the clipping point, > 0
    shares : f's rise over each of the K intervals, each > 0; they are taken relative to their sum
    signed : for weights; False for activations, whose values below 0 become 0
    """

    bits: int
    alpha: float
    shares: tuple[float, ...]
    signed: bool

    def __post_init__(self) -> None:
        if not 1 + self.signed <= self.bits <= 8:
            raise InputError(f"bits is {self.bits}; expected {1 + self.signed} to 8")
        if not 0 < self.alpha < inf or not self.shares or not all(0 < share < inf for share in self.shares):
            raise InputError(f"alpha {self.alpha:g} and the shares of {len(self.shares)} intervals must be positive")

    @classmethod
    def from_theta(cls, bits: int, alpha: float, theta: Sequence[float], *, signed: bool) -> "Companding":
        """From the parameters that training learns: shares = softmax(theta)."""
        top = max(theta)
        return cls(bits, alpha, tuple(exp(value - top) for value in theta), signed)

    @classmethod
    def fit(cls, values: NDArray[Any], bits: int, *, signed: bool = True, intervals: int = INTERVALS) -> "Companding":
        """Without training: for several clipping points the f that puts levels as dense as the cube root of the density
        of the values, which is the best for many levels; and of these, and of f(v) = v, the least squared error.

        The paper learns both with the network. Source of the cube root: Panter and Dite, Proc. IRE 39(1), 1951.
        """
        flat = np.ascontiguousarray(values, np.float64).reshape(-1)
        if not flat.size or not np.isfinite(flat).all():
            raise InputError(f"values of shape {list(values.shape)} are empty or not finite; expected finite ones")
        magnitudes = np.abs(flat) if signed else np.maximum(flat, 0.0)
        top = float(magnitudes.max()) or 1.0
        candidates = []
        for start in STARTS:
            counts, _ = np.histogram(magnitudes, intervals, (0.0, top * start))
            roots = np.cbrt(counts / max(counts.max(), 1)) + FLATTEST
            for blend in (0.0, 0.5, 1.0):
                shares = blend * roots / roots.sum() + (1 - blend) / intervals
                candidates.append(cls(bits, top * start, tuple(shares.tolist()), signed))
        return min(candidates, key=lambda c: c.squared_error(flat))

    @property
    def steps(self) -> int:
        """The largest magnitude of a code."""
        return (1 << (self.bits - self.signed)) - 1

    def compress(self, value: Fraction) -> Fraction:
        """f of a magnitude in [0, 1], exactly."""
        rises = self._rises()
        interval = min(int(value * len(rises)), len(rises) - 1)
        return sum(rises[:interval], Fraction(0)) + rises[interval] * (value * len(rises) - interval)

    def expand(self, value: Fraction) -> Fraction:
        """The inverse of f on [0, 1], exactly."""
        rises = self._rises()
        starts = [Fraction(0), *accumulate(rises)][:-1]
        interval = bisect_right(starts, value) - 1
        return (interval + (value - starts[interval]) / rises[interval]) / len(rises)

    def magnitudes(self) -> list[Fraction]:
        """The levels of codes 0 to `steps`, relative to alpha."""
        return [self.expand(Fraction(code, self.steps)) for code in range(self.steps + 1)]

    def levels(self) -> Levels:
        """The table and the thresholds: the same code for every float64 value as by f, rounding and f's inverse."""
        magnitudes = np.array([float(level) for level in self.magnitudes()])
        above = [self._threshold(code) for code in range(1, self.steps + 1)]
        if not self.signed:
            return Levels(magnitudes[None], np.array([self.alpha]), np.array([above]))
        below = [nextafter(-value, inf) for value in above[::-1]]
        table = np.concatenate([-magnitudes[:0:-1], magnitudes])
        return Levels(table[None], np.array([self.alpha]), np.array([below + above]))

    def squared_error(self, values: Reals) -> float:
        """What quantizing `values` costs."""
        levels = self.levels()
        return float(((levels.decode(levels.encode(values)) - values) ** 2).sum())

    def _threshold(self, code: int) -> float:
        """The first float64 magnitude that becomes `code`: from a tie on where the code is even, after it where odd."""
        exact = Fraction(self.alpha) * self.expand(Fraction(2 * code - 1, 2 * self.steps))
        near = float(exact)
        if Fraction(near) < exact or (Fraction(near) == exact and code % 2):
            return nextafter(near, inf)
        return near

    def _rises(self) -> list[Fraction]:
        shares = [Fraction(share) for share in self.shares]
        total = sum(shares, Fraction(0))
        return [share / total for share in shares]


@dataclass(frozen=True, slots=True)
class LimitedNormalization:
    """LCQ's limited weight normalization: weights are quantized as (w - mean) / deviation, and only the deviation is
    multiplied back.

    Parameters
    ----------
    mean, deviation : of the layer's weights, the deviation over all of them (not one fewer)
    """

    mean: float
    deviation: float

    @classmethod
    def fit(cls, weights: NDArray[Any]) -> "LimitedNormalization":
        """Of these weights; a deviation of 0 counts as 1."""
        return cls(float(np.mean(weights, dtype=np.float64)), float(np.std(weights, dtype=np.float64)) or 1.0)

    def apply(self, weights: NDArray[Any]) -> Reals:
        """The weights to quantize."""
        normalized: Reals = (weights.astype(np.float64) - self.mean) / self.deviation
        return normalized

    def undo(self, levels: Levels) -> Levels:
        """Levels of normalized weights as those of the layer; thresholds stay in normalized units."""
        return Levels(levels.table, levels.scale * self.deviation, levels.thresholds, levels.granularity)
