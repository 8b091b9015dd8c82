"""CEIL: the next integer above."""

import numpy as np

from hwsim.ops._float import FLOATS
from hwsim.ops._numbers import Array, NumberFunction


class Ceil(NumberFunction):
    """LiteRT's reference kernels lack it. Source: LiteRT tflite/kernels/ceil.cc; TFLM micro/kernels/ceil.cc."""

    name = "ceil"
    sources = {"tflite": "CEIL"}
    rules = dict.fromkeys(("litert-optimized", "tflite-micro", "float"), FLOATS)

    def function(self, x: Array) -> Array:
        return np.ceil(x)


OP = Ceil()
