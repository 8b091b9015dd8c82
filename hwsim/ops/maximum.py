"""MAXIMUM: the larger of two codes, broadcast against each other."""

import numpy as np

from hwsim.ops._base import everywhere
from hwsim.ops._compare import CHOSEN, Choice


class Maximum(Choice):
    """Raw codes are compared."""

    name = "maximum"
    sources = {"tflite": "MAXIMUM"}
    rules = everywhere("raw", *CHOSEN, micro=[dtype for dtype in CHOSEN if dtype != "uint8"])
    choose = np.maximum


OP = Maximum()
