"""RELU6 as an operator of its own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import limits
from hwsim.ops._byte_function import BYTES
from hwsim.ops._float import FLOATS, Reals, numbers
from hwsim.ops.relu import Relu
from hwsim.quantizers.multiplier import activation_bounds


class Relu6(Relu):
    """x limited to [0, 6], moved to the output's scale; TFLM limits the codes alone, by the input's scale.

    Source: as `Relu`.
    """

    name = "relu6"
    sources = {"tflite": "RELU6"}
    rules = {
        "litert-reference": {
            **dict.fromkeys((*BYTES, "int16"), Rule("double_rounding", "float32")),
            **numbers("float32"),
        },
        "tflite-micro": {**dict.fromkeys(("int8", "int16"), Rule("codes_alone")), **numbers("float32")},
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm != "codes_alone":
            super().table(view, rule, values, out)
            return
        source = view.input(0)
        low, high = activation_bounds("relu6", source.scale, source.zero_point, limits(source.dtype))
        out[...] = np.clip(values + source.zero_point, low, high)

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.clip(values, np.float32(0.0), np.float32(6.0))


OP = Relu6()
