"""SQRT: the square root."""

import numpy as np

from hwsim.ops._base import everywhere
from hwsim.ops._float import own_root
from hwsim.ops._numbers import Array, NumberFunction


class Sqrt(NumberFunction):
    """Source: LiteRT tflite/kernels/elementwise.cc; TFLM micro/kernels/elementwise.cc."""

    name = "sqrt"
    sources = {"tflite": "SQRT"}
    rules = {**everywhere("exact", "float32"), "xnnpack": {"float32": own_root}}

    def function(self, x: Array) -> Array:
        return np.sqrt(x)


OP = Sqrt()
