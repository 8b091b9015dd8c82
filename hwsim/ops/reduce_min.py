"""REDUCE_MIN over constant axes."""

import numpy as np

from hwsim.ops._base import everywhere
from hwsim.ops.reduce_max import ReduceMax


class ReduceMin(ReduceMax):
    """As REDUCE_MAX, of the smallest."""

    name = "reduce_min"
    sources = {"tflite": "REDUCE_MIN"}
    rules = everywhere("raw", "int8", "uint8", "int16", "int32", "int64", "float32", micro=("int8", "float32"))
    choose = np.minimum


OP = ReduceMin()
