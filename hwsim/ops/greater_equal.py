"""GREATER_EQUAL: whether the first value is at least the second."""

import numpy as np

from hwsim.ops._base import TfliteOptions
from hwsim.ops._comparison import Comparison, comparison_rules


class GreaterEqual(Comparison):
    """a >= b; LiteRT compares 16-bit codes as they are."""

    name = "greater_equal"
    sources = {"tflite": "GREATER_EQUAL"}
    options = TfliteOptions("GreaterEqualOptions")
    rules = comparison_rules(
        ("int16", "int32", "int64", "float32"), ("int8", "uint8"), ("int8", "int32", "int64", "float32")
    )
    compare = np.greater_equal


OP = GreaterEqual()
