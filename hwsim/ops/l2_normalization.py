"""L2_NORMALIZATION: every vector along the last axis over its length."""

from typing import Any

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.inverse_sqrt import l2_normalization
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.ops._float import FLOAT, FLOATS, Reals, pointwise


class L2Normalization(Op):
    """Output codes have scale 1/128; uint8 codes are raised to it before they are multiplied, int8 ones after.

    Source: TFLite reference/l2normalization.h, reference/integer_ops/l2normalization.h; TFLM micro/kernels/l2norm.cc.
    """

    name = "l2_normalization"
    sources = {"tflite": "L2_NORMALIZATION"}
    options = TfliteOptions("L2NormOptions", {"activation": "FusedActivationFunction"})
    rules = {
        "litert-reference": {"int8": Rule("integer"), "uint8": Rule("integer")},
        "tflite-micro": {"int8": Rule("integer")},
        "float": FLOATS,
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return pointwise(_normalized)
        if rule.algorithm != "integer":
            raise no_rule(view, rule)
        low, high = limits(view.output().dtype)
        middle, early = (low + high + 1) // 2, 7 if view.output().dtype == "uint8" else 0
        depth, zero_point = view.input(0).shape[-1], view.input(0).zero_point

        def step(inputs: Arrays, outputs: Arrays) -> None:
            rows, out = inputs[0].reshape(-1, depth), outputs[0].reshape(-1, depth)
            l2_normalization(rows, zero_point, middle, early, low, high, out)

        return step


def _normalized(values: Reals) -> Any:
    length = np.sqrt(np.square(values).sum(axis=-1, keepdims=True))
    return values / np.maximum(length, np.float32(1e-6))


OP = L2Normalization()
