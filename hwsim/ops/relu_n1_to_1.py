"""RELU_N1_TO_1 as an operator of its own."""

from typing import Any

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._byte_function import BYTES
from hwsim.ops._float import FLOATS, Reals, numbers
from hwsim.ops.relu import Relu


class ReluN1To1(Relu):
    """x limited to [-1, 1], moved to the output's scale. Source: as `Relu`."""

    name = "relu_n1_to_1"
    sources = {"tflite": "RELU_N1_TO_1"}
    rules = {
        "litert-reference": {**dict.fromkeys(BYTES, Rule("double_rounding", "float32")), **numbers("float32")},
        "float": FLOATS,
    }

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.clip(values, np.float32(-1.0), np.float32(1.0))


OP = ReluN1To1()
