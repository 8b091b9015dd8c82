"""MINIMUM: the smaller of two codes, broadcast against each other."""

import numpy as np

from hwsim.ops._base import everywhere
from hwsim.ops._compare import Choice


class Minimum(Choice):
    """Raw codes are compared."""

    name = "minimum"
    sources = {"tflite": "MINIMUM"}
    rules = everywhere("raw", "int8", "uint8", "int16", "int32", "int64", micro=("int8", "int16", "int32", "int64"))
    choose = np.minimum


OP = Minimum()
