"""FLOOR_MOD: the remainder with the sign of the divisor, two tensors broadcast against each other."""

import numpy as np

from hwsim.ops._base import TfliteOptions, everywhere
from hwsim.ops._numbers import Array, NumberPair


class FloorMod(NumberPair):
    """Source: LiteRT tflite/kernels/floor_mod.cc; TFLM micro/kernels/floor_mod.cc."""

    name = "floor_mod"
    sources = {"tflite": "FLOOR_MOD"}
    options = TfliteOptions("FloorModOptions")
    rules = everywhere("exact", "int8", "int16", "int32", "int64", "float32", micro=("float32",))

    def function(self, first: Array, second: Array) -> Array:
        remainder: Array = np.mod(first, second)
        return remainder


OP = FloorMod()
