"""SUM over constant axes."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.mean import mean_double_rounding, mean_float32, sum_middle
from hwsim.kernels.sum import sum_float32
from hwsim.ops._base import Arrays, Step, limits, no_rule
from hwsim.ops._byte_function import multiplier_of
from hwsim.ops._float import FLOATS, NUMBERS, numbers, own_order
from hwsim.ops._reduce import Reduction, joined_in_order, kept_axes, reduced_axes

Array = NDArray[Any]
Finish = Callable[[NDArray[np.int64], Array], None]


class Sum(Reduction):
    """Sum over axes, requantized to the output's scale.

    LiteRT's reference kernel takes every byte for uint8, whatever the codes' dtype, and limits the sum to 0..255. Of
    int16 it so sums half of the bytes and leaves half of the output as it was, which hwsim does not reproduce.

    Source: LiteRT tflite/kernels/reduce.cc, EvalSum; TFLM micro/kernels/reduce_common.cc.
    """

    name = "sum"
    sources = {"tflite": "SUM"}
    rules = {
        "litert-reference": {"int8": Rule("bytes"), "uint8": Rule("bytes"), **numbers("int32", "int64", "float32")},
        "litert-optimized": dict.fromkeys(("int8", "uint8", "int16"), Rule("float32_half_away")),
        "xnnpack": {"int8": Rule("float32"), "uint8": Rule("float32"), "float32": own_order},
        "tflite-micro": {"int8": Rule("double_rounding"), "int16": Rule("double_rounding"), **numbers("float32")},
        "float": FLOATS,
    }

    def bind(self, view: NodeView, rule: Rule) -> Step:
        shape, axes, kept = view.input(0).shape, reduced_axes(view), kept_axes(view)
        if rule in NUMBERS:
            return joined_in_order(axes, np.add)
        order = (0, *(i + 1 for i in axes), *(i + 1 for i in kept))
        count, inner = prod(shape[i] for i in axes), prod(shape[i] for i in kept)
        finish = _finish(view, rule, count)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            samples = inputs[0].shape[0]
            values = inputs[0].view(np.uint8) if rule.algorithm == "bytes" else inputs[0]
            ordered = np.ascontiguousarray(values.transpose(order)).reshape(samples, count, inner)
            sums = np.empty((samples, inner), np.int64)
            sum_middle(ordered, sums)
            finish(sums, outputs[0].reshape(samples, inner))

        return step


def _finish(view: NodeView, rule: Rule, count: int) -> Finish:
    source, output = view.input(0), view.output()
    ends, zeros = limits(output.dtype), source.zero_point * count
    if rule.algorithm in ("double_rounding", "bytes"):
        multiplier, shift = multiplier_of(source.scale / output.scale)
        if rule.algorithm == "double_rounding":
            return lambda sums, out: mean_double_rounding(sums, zeros, multiplier, shift, output.zero_point, *ends, out)
        return lambda sums, out: mean_double_rounding(
            sums, zeros, multiplier, shift, output.zero_point, 0, 255, out.view(np.uint8)
        )
    ratio = np.float32(source.scale) / np.float32(output.scale)
    if rule.algorithm == "float32_half_away":
        bias = np.float32(-source.zero_point) * ratio * np.float32(count)
        return lambda sums, out: sum_float32(sums, float(ratio), float(bias), output.zero_point, *ends, out)
    if rule.algorithm == "float32":
        moved = np.float32(output.zero_point) - np.float32(zeros) * ratio
        return lambda sums, out: mean_float32(sums, float(ratio), float(moved), *ends, out)
    raise no_rule(view, rule)


OP = Sum()
