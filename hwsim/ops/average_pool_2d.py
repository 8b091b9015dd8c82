"""AVERAGE_POOL_2D: the mean code under a window."""

from collections.abc import Callable
from typing import Any

from hwsim.engines import Rule
from hwsim.engines._profile import BYTES
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.kernels.pooling import average_pool_2d, average_pool_2d_truncated
from hwsim.ops import _onnxruntime
from hwsim.ops._base import Arrays, Step, merge_batch
from hwsim.ops._dequantized import MEANS, window_mean
from hwsim.ops._float import average_pool_2d as float_average_pool_2d
from hwsim.ops._pooling import Pool2d
from hwsim.ops._stated import output_bounds
from hwsim.ops._window import window


class AveragePool2d(Pool2d):
    """Mean over the taps inside the image, rounded half away from zero, or toward it."""

    name = "average_pool_2d"
    sources = {"tflite": "AVERAGE_POOL_2D"}
    rules = {
        **Pool2d.rules,
        "onnxruntime": _onnxruntime.RULES,
        "aten": dict.fromkeys(BYTES, Rule("window_mean_512_bits", "float32")),
        "aten-avx2": dict.fromkeys(BYTES, Rule("window_mean_256_bits", "float32")),
        "qnnpack": {"uint8": Rule("qnnpack_mean", "float32")},
    }

    def kernel(self) -> Callable[..., Any]:
        return average_pool_2d

    def float_step(self, view: NodeView) -> Step:
        return float_average_pool_2d(view)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == _onnxruntime.FLOAT32:
            return _onnxruntime.average_pool(view, output_bounds(view))
        if rule.algorithm in MEANS:
            return window_mean(view, rule)
        return _truncated(view) if rule.algorithm == "truncated" else super().bind(view, rule)


def _truncated(view: NodeView) -> Step:
    """The mean distance from the zero point, toward zero."""
    source, output = view.input(0), view.output()
    if source.format is None or not source.format.same_as(output.format):
        raise ShapeError(f"{view.label}: input has {source.format}, output {output.format}; pooling needs them equal")
    ends = output_bounds(view)
    frame, _, _ = window(view, view.integer("filter_h"), view.integer("filter_w"))

    def step(inputs: Arrays, outputs: Arrays) -> None:
        images, out = merge_batch(inputs[0]), merge_batch(outputs[0])
        average_pool_2d_truncated(images, frame, source.zero_point, *ends, out)

    return step


OP = AveragePool2d()
