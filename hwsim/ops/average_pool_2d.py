"""AVERAGE_POOL_2D: the mean code under a window."""

from collections.abc import Callable
from typing import Any

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.pooling import average_pool_2d, average_pool_2d_truncated
from hwsim.ops._base import Step
from hwsim.ops._float import average_pool_2d as float_average_pool_2d
from hwsim.ops._pooling import Pool2d


class AveragePool2d(Pool2d):
    """Mean over the taps inside the image, rounded half away from zero, or toward it."""

    name = "average_pool_2d"
    sources = {"tflite": "AVERAGE_POOL_2D"}
    vector = True

    def kernel(self) -> Callable[..., Any]:
        return average_pool_2d

    def kernel_of(self, view: NodeView, rule: Rule) -> Callable[..., Any]:
        if rule.algorithm != "truncated":
            return super().kernel_of(view, rule)
        zero_point = view.input(0).zero_point
        return lambda images, frame, *rest: average_pool_2d_truncated(images, frame, zero_point, *rest)

    def float_step(self, view: NodeView) -> Step:
        return float_average_pool_2d(view)


OP = AveragePool2d()
