"""SIGN: -1, 0 or 1."""

import numpy as np

from hwsim.ops._base import TfliteOptions, everywhere
from hwsim.ops._numbers import Array, NumberFunction


class Sign(NumberFunction):
    """Source: LiteRT tflite/kernels/sign.cc."""

    name = "sign"
    sources = {"tflite": "SIGN"}
    options = TfliteOptions("SignOptions")
    rules = everywhere("exact", "int32", "float32", micro=())

    def function(self, x: Array) -> Array:
        return np.sign(x)


OP = Sign()
