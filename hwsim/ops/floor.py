"""FLOOR: the next integer below."""

import numpy as np

from hwsim.ops._base import everywhere
from hwsim.ops._numbers import Array, NumberFunction


class Floor(NumberFunction):
    """Source: LiteRT tflite/kernels/floor.cc; TFLM micro/kernels/floor.cc."""

    name = "floor"
    sources = {"tflite": "FLOOR"}
    rules = everywhere("exact", "float32")

    def function(self, x: Array) -> Array:
        return np.floor(x)


OP = Floor()
