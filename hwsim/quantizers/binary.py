"""Weights and activations of one or two bits: signs, several signs, and signs with zero.

The sign of 0 is +1 here, as in larq and QONNX's Bipolar; torch.sign gives 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.quantizers.granularity import PER_TENSOR, Granularity
from hwsim.quantizers.levels import Levels
from hwsim.quantizers.packing import packed_bytes

Reals = NDArray[np.float64]
Codes = NDArray[np.int64]
TWN_THRESHOLD = 0.7


def binary(values: NDArray[Any], *, granularity: Granularity = PER_TENSOR) -> Levels:
    """Levels +-alpha with alpha the mean magnitude, which has the least squared error.

    Source: Rastegari et al., XNOR-Net (arXiv 1603.05279), section 3.1.
    """
    alpha = np.array([np.abs(part).mean() or 1.0 for part in granularity.split(values)])
    return Levels(np.tile(np.array([-1, 1]), (alpha.size, 1)), alpha, np.zeros((alpha.size, 1)), granularity)


def ternary(values: NDArray[Any], *, exact: bool = False, granularity: Granularity = PER_TENSOR) -> Levels:
    """Levels -alpha, 0 and alpha; a magnitude at the threshold is not 0.

    exact : False sets the threshold at 0.7 of the mean magnitude, as the paper does; True finds the one with the least
        squared error. Alpha is the mean of the magnitudes that are kept, the best for either.

    Source: Li et al., Ternary Weight Networks (arXiv 1605.04711).
    """
    pairs = [_ternary(np.abs(part), exact) for part in granularity.split(values)]
    alpha, edge = (np.array(column) for column in zip(*pairs, strict=True))
    thresholds = np.stack([np.nextafter(-edge, np.inf), edge], axis=1)
    return Levels(np.tile(np.array([-1, 0, 1]), (alpha.size, 1)), alpha, thresholds, granularity)


def _ternary(magnitudes: Reals, exact: bool) -> tuple[float, float]:
    """Alpha and threshold of one slice."""
    if not magnitudes.any():
        return 1.0, 1.0
    if exact:
        # the error falls by (sum of the kept magnitudes) squared over their number
        ordered = np.sort(magnitudes)[::-1]
        sums = np.cumsum(ordered)
        kept = int(np.argmax(sums * sums / np.arange(1, sums.size + 1)))
        return float(sums[kept] / (kept + 1)), float(ordered[kept])
    edge = TWN_THRESHOLD * float(magnitudes.mean())
    return float(magnitudes[magnitudes >= edge].mean()), edge


@dataclass(frozen=True, slots=True, eq=False)
class BinaryBases:
    """Several signs for each value: value = sum over m of alpha_m * (+-1), bit m of the code being 1 for +1.

    Parameters
    ----------
    alphas : float64 (slices, bases)
    shifts : float64 (slices, bases): base m is the sign of value + shift
    granularity : what shares bases

    Source: Lin et al., Towards Accurate Binary Convolutional Neural Network, ABC-Net (arXiv 1711.11294), section 3.1.
    """

    alphas: Reals
    shifts: Reals
    granularity: Granularity = PER_TENSOR

    @classmethod
    def fit(cls, values: NDArray[Any], bases: int, *, granularity: Granularity = PER_TENSOR) -> "BinaryBases":
        """Bases at equal steps from minus to plus one deviation around the mean, alphas by least squares.

        bases : 1 to 8
        """
        if not 1 <= bases <= 8:
            raise InputError(f"bases is {bases}; expected 1 to 8")
        places = np.linspace(-1.0, 1.0, bases) if bases > 1 else np.zeros(1)
        alphas, shifts = [], []
        for part in granularity.split(values):
            shift = places * part.std() - part.mean()
            signs = np.where(part[:, None] + shift >= 0, 1.0, -1.0)
            alphas.append(np.linalg.lstsq(signs, part, rcond=None)[0])
            shifts.append(shift)
        return cls(np.array(alphas), np.array(shifts), granularity)

    @property
    def bits(self) -> int:
        """Bits of a code."""
        return int(self.alphas.shape[1])

    @property
    def levels(self) -> Reals:
        """What the codes stand for, (slices, 2^bases), in the order of the codes."""
        signs = 2 * (np.arange(1 << self.bits)[:, None] >> np.arange(self.bits) & 1) - 1
        combined: Reals = self.alphas @ signs.T
        return combined

    @property
    def table_bytes(self) -> int:
        """Bytes of look-up tables: none, each base is a plane of bits."""
        return 0

    def encode(self, values: NDArray[Any]) -> Codes:
        """The codes of `values`, int64 of the same shape."""
        flat = np.ascontiguousarray(values, np.float64).reshape(-1)
        codes = np.zeros(flat.size, np.int64)
        for part, shifts in zip(self.granularity.members(values.shape), self.shifts, strict=True):
            codes[part] = ((flat[part, None] + shifts >= 0) << np.arange(self.bits)).sum(axis=1)
        return codes.reshape(values.shape)

    def decode(self, codes: NDArray[Any]) -> Reals:
        """What `codes` stand for, float64."""
        decoded: Reals = self.levels[self.granularity.index(codes.shape), codes]
        return decoded

    def size_bytes(self, codes: NDArray[Any]) -> int:
        """Bytes of the planes and of a float32 alpha for each base and slice."""
        return packed_bytes(codes.size, self.bits) + 4 * self.alphas.size
