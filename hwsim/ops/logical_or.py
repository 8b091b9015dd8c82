"""LOGICAL_OR of two truth values, broadcast against each other."""

import numpy as np

from hwsim.ops._base import TfliteOptions
from hwsim.ops.logical_and import LogicalAnd


class LogicalOr(LogicalAnd):
    """As LOGICAL_AND, of either."""

    name = "logical_or"
    sources = {"tflite": "LOGICAL_OR"}
    options = TfliteOptions("LogicalOrOptions")
    combine = np.logical_or


OP = LogicalOr()
