"""TANH: the hyperbolic tangent."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.sigmoid import tanh_fixed_point
from hwsim.kernels.tanhf import tanhf
from hwsim.ops._base import limits
from hwsim.ops._byte_function import BYTES, ByteFunction, fill_from_real, real_values
from hwsim.ops._float import FLOATS, Reals
from hwsim.ops._sigmoid import fixed_point_input


class Tanh(ByteFunction):
    """LiteRT and XNNPACK compute it in float32, TFLM in fixed point.

    Source: LiteRT tflite/kernels/activations.cc; google/XNNPACK src/reference/unary-elementwise.cc, TanHOp; TFLM
    micro/kernels/tanh.cc.
    """

    name = "tanh"
    sources = {"tflite": "TANH"}
    rules = {
        "litert-reference": dict.fromkeys(BYTES, Rule("float_table")),
        "xnnpack": dict.fromkeys(BYTES, Rule("float_half_even")),
        "tflite-micro": {"int8": Rule("fixed_point")},
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm == "fixed_point":
            tanh_fixed_point(values, *fixed_point_input(view), *limits(view.output().dtype), out)
            return
        real = np.empty(values.size, np.float32)
        tanhf(real_values(view, values), real)
        fill_from_real(view, rule, real, out)

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.tanh(values)


OP = Tanh()
