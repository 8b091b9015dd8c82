"""AVERAGE_POOL_2D: the mean code under a window."""

from collections.abc import Callable
from typing import Any

from hwsim.graph import NodeView
from hwsim.kernels.pooling import average_pool_2d
from hwsim.ops._base import Step
from hwsim.ops._float import average_pool_2d as float_average_pool_2d
from hwsim.ops._pooling import Pool2d


class AveragePool2d(Pool2d):
    """Mean over the taps inside the image, rounded half away from zero."""

    name = "average_pool_2d"
    sources = {"tflite": "AVERAGE_POOL_2D"}

    def kernel(self) -> Callable[..., Any]:
        return average_pool_2d

    def float_step(self, view: NodeView) -> Step:
        return float_average_pool_2d(view)


OP = AveragePool2d()
