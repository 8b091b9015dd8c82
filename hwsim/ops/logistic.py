"""LOGISTIC: 1 / (1 + exp(-x))."""

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.sigmoid import logistic_fixed_point
from hwsim.ops._base import limits
from hwsim.ops._byte_function import BYTES, ByteFunction, fill_from_real, real_values
from hwsim.ops._float import FLOATS, Reals
from hwsim.ops._sigmoid import fixed_point_input
from hwsim.quantizers.expf import expf


class Logistic(ByteFunction):
    """LiteRT computes it in float32, XNNPACK in float64, TFLM in fixed point. All want an output scale of 1/256.

    Source: LiteRT tflite/kernels/activations.cc; google/XNNPACK src/reference/unary-elementwise.cc, SigmoidOp; TFLM
    micro/kernels/logistic.cc.
    """

    name = "logistic"
    sources = {"tflite": "LOGISTIC"}
    rules = {
        "litert-reference": dict.fromkeys(BYTES, Rule("float_table")),
        "xnnpack": dict.fromkeys(BYTES, Rule("float_half_even")),
        "tflite-micro": {"int8": Rule("fixed_point")},
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm == "fixed_point":
            logistic_fixed_point(values, *fixed_point_input(view), limits(view.output().dtype)[0], out)
            return
        real = real_values(view, values)
        fill_from_real(view, rule, _float64(real) if rule.algorithm == "float_half_even" else _float32(real), out)

    def real(self, view: NodeView, values: Reals) -> Any:
        positive = np.float32(1.0) / (np.float32(1.0) + np.exp(-np.abs(values)))
        return np.where(values >= 0, positive, np.float32(1.0) - positive)


def _float32(values: Reals) -> Reals:
    """Beyond 87, C's expf of the argument's negative is 0 or so large that the quotient rounds to code 0."""
    one = np.float32(1.0)
    result: Reals = one / (one + expf(-np.clip(values, np.float32(-87.0), np.float32(87.0))))
    return result


def _float64(values: Reals) -> Reals:
    """With C's exp, which is not NumPy's; beyond 100 the result is 0 or 1."""
    exponentials = np.array([exp(value) for value in np.clip(values, -100.0, 100.0)])
    return (exponentials / (1.0 + exponentials)).astype(np.float32)


OP = Logistic()
