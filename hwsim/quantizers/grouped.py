"""Sub-channel scales that are small integers: real = scale[channel] * multiplier[channel, run] * code.

Each channel is cut into runs of neighbouring weights, in the order in which their products are summed; each run has an
integer multiplier of its own, and the channel one real scale. So the sum over a channel is

    scale * sum over runs of multiplier[run] * (sum over the run of input * code)

whose inner sums, products and outer sum are all integers, and equals that of weights multiplier * code in one scale:
hardware multiplies once per run, a simulation may multiply the codes first.

Source: Dai et al., VS-Quant: Per-vector Scaled Quantization for Accurate Low-Precision Neural Network Inference, MLSys
2021 (arXiv 2102.04503), section 4, two-level scales; there a run is 16 input channels. Here multipliers and scale are
those of the least squared error among the ones tried, there of the largest weight.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.quantizers.granularity import Granularity

Reals = NDArray[np.float64]
TRIED = np.linspace(0.5, 1.0, 11)
"""Of the step at which the largest weight of a channel is the largest code."""


@dataclass(frozen=True, slots=True, eq=False)
class GroupedScales:
    """Fitted scales of weights.

    Parameters
    ----------
    bits : of a code, signed, -(2^(bits-1) - 1) to 2^(bits-1) - 1
    scale : float64 (channels,)
    multipliers : int64 (channels, runs), each from 1
    granularity : the runs
    """

    bits: int
    scale: Reals
    multipliers: NDArray[np.int64]
    granularity: Granularity

    @classmethod
    def fit(cls, values: NDArray[Any], bits: int, *, axis: int, size: int, multiplier_bits: int = 4) -> "GroupedScales":
        """Scales of the least squared error among those tried.

        bits : 2 to 8; axis : of the channels; size : weights of a run, the last may have fewer
        """
        if not 2 <= bits <= 8 or not 1 <= multiplier_bits <= 8:
            raise InputError(f"bits is {bits}, multiplier_bits {multiplier_bits}; expected 2 to 8 and 1 to 8")
        cut, largest = Granularity(axis, part=size), (1 << (bits - 1)) - 1
        runs = _runs(values, axis, size)
        steps = np.abs(runs).max(axis=(1, 2)) / largest / ((1 << multiplier_bits) - 1)
        steps = np.where(steps > 0, steps, 1.0)
        best, scale = np.full(len(runs), np.inf), steps.copy()
        multipliers = np.ones(runs.shape[:2], np.int64)
        for share in TRIED:
            tried, errors = _multipliers(runs, share * steps, largest, 1 << multiplier_bits)
            better = errors < best
            best, scale = np.where(better, errors, best), np.where(better, share * steps, scale)
            multipliers[better] = tried[better]
        return cls(bits, scale, multipliers, cut)

    def encode(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Codes of an array of the shape that was fitted: nearest, ties to even, clamped."""
        largest = (1 << (self.bits - 1)) - 1
        codes = np.rint(np.asarray(values, np.float64) / self._steps(values.shape))
        return np.clip(codes, -largest, largest).astype(np.int64)

    def decode(self, codes: NDArray[Any]) -> Reals:
        """What codes stand for."""
        real: Reals = codes * self._steps(codes.shape)
        return real

    def _steps(self, shape: tuple[int, ...]) -> Reals:
        steps: Reals = (self.scale[:, None] * self.multipliers).reshape(-1)[self.granularity.index(shape)]
        return steps


def _runs(values: NDArray[Any], axis: int, size: int) -> Reals:
    """(channels, runs, size), the last run filled up with zeros, which every code holds."""
    rows = np.moveaxis(np.asarray(values, np.float64), axis, 0).reshape(values.shape[axis], -1)
    filled = np.pad(rows, ((0, 0), (0, -rows.shape[1] % size)))
    return filled.reshape(len(rows), -1, size)


def _multipliers(runs: Reals, scale: Reals, largest: int, count: int) -> tuple[NDArray[np.int64], Reals]:
    """The best multiplier of each run for one scale per channel, and the squared error of each channel."""
    best, found = np.full(runs.shape[:2], np.inf), np.ones(runs.shape[:2], np.int64)
    for multiplier in range(1, count):
        step = (scale * multiplier)[:, None, None]
        codes = np.clip(np.rint(runs / step), -largest, largest)
        error = ((codes * step - runs) ** 2).sum(axis=2)
        found[error < best] = multiplier
        best = np.minimum(best, error)
    return found, best.sum(axis=1)
