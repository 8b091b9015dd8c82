"""Number formats: how integer codes stand for real values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """Uniform codes, real = scale * (code - zero_point).

    Parameters
    ----------
    scale : float32 array, shape (1,) per tensor or (channels,) per channel; each > 0
    zero_point : int64 array, same shape, each within the tensor's dtype
    axis : the axis that `scale` runs along, or None per tensor
    """

    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int | None = None

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int = 0) -> "Affine":
        """A format with one scale for the whole tensor."""
        return cls(np.array([scale], np.float32), np.array([zero_point], np.int64))

    @classmethod
    def per_channel(cls, scale: NDArray[np.floating], axis: int) -> "Affine":
        """A symmetric format (zero point 0) with one scale per index of `axis`."""
        scales = np.asarray(scale, np.float32)
        return cls(scales, np.zeros(scales.shape, np.int64), axis)

    @property
    def is_per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return self.axis is not None and self.scale.size > 1

    def same_as(self, other: "Affine | None") -> bool:
        """Whether both stand for exactly the same real values."""
        return (
            other is not None
            and self.axis == other.axis
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )

    def __str__(self) -> str:
        if self.scale.size == 1:
            return f"scale {self.scale[0]:.9g}, zero_point {self.zero_point[0]}"
        return f"{self.scale.size} scales along axis {self.axis}"
