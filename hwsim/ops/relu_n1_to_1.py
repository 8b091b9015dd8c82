"""RELU_N1_TO_1 as an operator of its own."""

from hwsim.engines import Rule
from hwsim.ops._byte_function import BYTES
from hwsim.ops.relu import Relu


class ReluN1To1(Relu):
    """x limited to [-1, 1], moved to the output's scale. Source: as `Relu`."""

    name = "relu_n1_to_1"
    sources = {"tflite": "RELU_N1_TO_1"}
    rules = {"litert-reference": dict.fromkeys(BYTES, Rule("double_rounding", "float32"))}


OP = ReluN1To1()
