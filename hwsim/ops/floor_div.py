"""FLOOR_DIV: the quotient rounded down, two tensors broadcast against each other."""

import numpy as np

from hwsim.ops._base import TfliteOptions, everywhere
from hwsim.ops._numbers import Array, NumberPair


class FloorDiv(NumberPair):
    """Of float32 the float64 quotient. Source: LiteRT tflite/kernels/floor_div.cc; TFLM micro/kernels/floor_div.cc."""

    name = "floor_div"
    sources = {"tflite": "FLOOR_DIV"}
    options = TfliteOptions("FloorDivOptions")
    rules = everywhere("exact", "int8", "int16", "int32", "float32", micro=("float32",))

    def function(self, first: Array, second: Array) -> Array:
        quotient: Array = np.floor(first / second.astype(np.float64))
        return quotient.astype(first.dtype)


OP = FloorDiv()
