"""MAX_POOL_2D: the largest code under a window."""

from collections.abc import Callable
from typing import Any

from hwsim.kernels.pooling import max_pool_2d
from hwsim.ops._pooling import Pool2d


class MaxPool2d(Pool2d):
    """Maximum over the taps inside the image."""

    name = "max_pool_2d"
    sources = {"tflite": "MAX_POOL_2D"}

    def kernel(self) -> Callable[..., Any]:
        return max_pool_2d


OP = MaxPool2d()
