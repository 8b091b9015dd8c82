"""RELU as an operator of its own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.requantize import ROUNDINGS
from hwsim.ops._base import limits, no_rule
from hwsim.ops._byte_function import BYTES, ByteFunction, fill_scaled
from hwsim.ops._float import FLOATS, Reals, numbers
from hwsim.quantizers.multiplier import activation_bounds


class Relu(ByteFunction):
    """max(x, 0), moved to the output's scale.

    Source: LiteRT tflite/kernels/activations.cc, QuantizedReluX; TFLM micro/kernels/activations_common.cc.
    """

    name = "relu"
    sources = {"tflite": "RELU"}
    rules = {
        "litert-reference": {
            **dict.fromkeys((*BYTES, "int16"), Rule("double_rounding", "float32")),
            **numbers("float32"),
        },
        "tflite-micro": {**dict.fromkeys(("int8", "int16"), Rule("double_rounding")), **numbers("float32")},
        "float": FLOATS,
        "aten": {**dict.fromkeys(BYTES, Rule("float32", "float32")), **FLOATS},
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm not in ROUNDINGS:
            raise no_rule(view, rule)
        output = view.output()
        bounds = activation_bounds(self.name, output.scale, output.zero_point, limits(output.dtype))
        fill_scaled(view, rule, values, bounds, out)

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.maximum(values, np.float32(0.0))


OP = Relu()
