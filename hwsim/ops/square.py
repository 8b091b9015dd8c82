"""SQUARE: x * x."""

import numpy as np

from hwsim.ops._base import TfliteOptions, everywhere
from hwsim.ops._numbers import Array, NumberFunction


class Square(NumberFunction):
    """Source: LiteRT tflite/kernels/elementwise.cc; TFLM micro/kernels/elementwise.cc."""

    name = "square"
    sources = {"tflite": "SQUARE"}
    options = TfliteOptions("SquareOptions")
    rules = everywhere("exact", "float32")

    def function(self, x: Array) -> Array:
        return np.square(x)


OP = Square()
