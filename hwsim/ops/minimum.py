"""MINIMUM: the smaller of two codes, broadcast against each other."""

import numpy as np

from hwsim.ops._base import everywhere
from hwsim.ops._compare import CHOSEN, Choice


class Minimum(Choice):
    """Raw codes are compared."""

    name = "minimum"
    sources = {"tflite": "MINIMUM"}
    rules = everywhere("raw", *CHOSEN, micro=[dtype for dtype in CHOSEN if dtype != "uint8"])
    choose = np.minimum


OP = Minimum()
