"""LOGISTIC: 1 / (1 + exp(-x))."""

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.fixed_point_int16 import logistic_fixed_point_int16
from hwsim.kernels.sigmoid import logistic_fixed_point
from hwsim.kernels.sigmoid_int16 import logistic_int16
from hwsim.ops import _onnxruntime
from hwsim.ops._base import limits
from hwsim.ops._byte_function import BYTES, ByteFunction, fill_from_real, real_values
from hwsim.ops._float import FLOATS, Reals
from hwsim.ops._sigmoid import fixed_point_input, power_of_two, sigmoid_table, table_input
from hwsim.quantizers.expf import expf

PLAIN_SHIFTS = (0,)


def _optimized_int16(view: NodeView) -> Rule | None:
    """LiteRT takes gemmlowp's function where the input scale is 2^-12."""
    return Rule("fixed_point") if power_of_two(view) in PLAIN_SHIFTS else None


class Logistic(ByteFunction):
    """LiteRT computes it in float32, XNNPACK in float64, TFLM in fixed point. All want an output scale of
    1/256, or 2^-15 for int16, which is a table everywhere but for one input scale.

    Source: LiteRT tflite/kernels/activations.cc; google/XNNPACK src/reference/unary-elementwise.cc, SigmoidOp; TFLM
    micro/kernels/logistic.cc.
    """

    name = "logistic"
    sources = {"tflite": "LOGISTIC"}
    rules = {
        "litert-reference": {**dict.fromkeys(BYTES, Rule("float_table")), "int16": Rule("table")},
        "litert-optimized": {"int16": _optimized_int16},
        "xnnpack": dict.fromkeys(BYTES, Rule("float_half_even")),
        "tflite-micro": {"int8": Rule("fixed_point"), "int16": Rule("table")},
        "onnxruntime": _onnxruntime.RULES,
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm == "table":
            logistic_int16(values, *table_input(view, PLAIN_SHIFTS), sigmoid_table(), out)
            return
        if rule.algorithm == "fixed_point" and view.input(0).dtype == "int16":
            logistic_fixed_point_int16(values, out)
            return
        if rule.algorithm == "fixed_point":
            logistic_fixed_point(values, *fixed_point_input(view), limits(view.output().dtype)[0], out)
            return
        real = real_values(view, values)
        if rule == _onnxruntime.FLOAT32:
            _onnxruntime.nearest_codes(view.output(), _onnxruntime.logistic(real), out)
            return
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
