"""MAX_POOL_2D: the largest code under a window."""

from collections.abc import Callable
from typing import Any

from hwsim.graph import NodeView
from hwsim.kernels.pooling import max_pool_2d
from hwsim.ops._base import Step
from hwsim.ops._float import FLOATS
from hwsim.ops._float import max_pool_2d as float_max_pool_2d
from hwsim.ops._pooling import Pool2d


class MaxPool2d(Pool2d):
    """Maximum over the taps inside the image."""

    name = "max_pool_2d"
    sources = {"tflite": "MAX_POOL_2D"}
    rules = {**Pool2d.rules, "aten": FLOATS}

    def kernel(self) -> Callable[..., Any]:
        return max_pool_2d

    def float_step(self, view: NodeView) -> Step:
        return float_max_pool_2d(view)


OP = MaxPool2d()
