"""ROUND: the nearest integer, ties to even."""

import numpy as np

from hwsim.ops._float import FLOATS
from hwsim.ops._numbers import Array, NumberFunction


class Round(NumberFunction):
    """LiteRT's reference kernels lack it. Source: LiteRT tflite/kernels/round.cc; TFLM micro/kernels/round.cc."""

    name = "round"
    sources = {"tflite": "ROUND"}
    rules = dict.fromkeys(("litert-optimized", "tflite-micro", "float"), FLOATS)

    def function(self, x: Array) -> Array:
        return np.rint(x)


OP = Round()
