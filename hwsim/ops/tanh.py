"""TANH: the hyperbolic tangent."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.fixed_point_int16 import tanh_fixed_point_int16
from hwsim.kernels.sigmoid import tanh_fixed_point
from hwsim.kernels.sigmoid_int16 import tanh_int16
from hwsim.kernels.tanhf import tanhf
from hwsim.ops._base import limits
from hwsim.ops._byte_function import BYTES, ByteFunction, fill_from_real, real_values
from hwsim.ops._float import FLOATS, Reals
from hwsim.ops._sigmoid import fixed_point_input, power_of_two, sigmoid_table, table_input

PLAIN_SHIFTS = (0, 1)


def _optimized_int16(view: NodeView) -> Rule | None:
    """LiteRT takes gemmlowp's function where the input scale is 2^-12 or 2^-11."""
    return Rule("fixed_point") if power_of_two(view) in PLAIN_SHIFTS else None


class Tanh(ByteFunction):
    """LiteRT and XNNPACK compute it in float32, TFLM in fixed point.

    Source: LiteRT tflite/kernels/activations.cc; google/XNNPACK src/reference/unary-elementwise.cc, TanHOp; TFLM
    micro/kernels/tanh.cc.
    """

    name = "tanh"
    sources = {"tflite": "TANH"}
    rules = {
        "litert-reference": {**dict.fromkeys(BYTES, Rule("float_table")), "int16": Rule("table")},
        "litert-optimized": {"int16": _optimized_int16},
        "xnnpack": dict.fromkeys(BYTES, Rule("float_half_even")),
        "tflite-micro": {"int8": Rule("fixed_point"), "int16": Rule("table")},
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm == "table":
            tanh_int16(values, *table_input(view, PLAIN_SHIFTS), sigmoid_table(), out)
            return
        if rule.algorithm == "fixed_point" and view.input(0).dtype == "int16":
            tanh_fixed_point_int16(values, power_of_two(view) or 0, out)
            return
        if rule.algorithm == "fixed_point":
            tanh_fixed_point(values, *fixed_point_input(view), *limits(view.output().dtype), out)
            return
        real = np.empty(values.size, np.float32)
        tanhf(real_values(view, values), real)
        fill_from_real(view, rule, real, out)

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.tanh(values)


OP = Tanh()
