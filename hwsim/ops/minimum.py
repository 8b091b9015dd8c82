"""MINIMUM: the smaller of two codes, broadcast against each other."""

import numpy as np

from hwsim.engines import Rule
from hwsim.ops._base import everywhere
from hwsim.ops._compare import Choice


class Minimum(Choice):
    """Raw codes are compared."""

    name = "minimum"
    sources = {"tflite": "MINIMUM"}
    rules = {
        **everywhere("raw", "int8", "uint8", "int16", "int32", "int64", micro=("int8", "int16", "int32", "int64")),
        "float": {"float32": Rule("raw")},
    }
    choose = np.minimum


OP = Minimum()
