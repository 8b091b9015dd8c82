"""GREATER: whether the first value is greater than the second."""

import numpy as np

from hwsim.ops._base import TfliteOptions
from hwsim.ops._comparison import Comparison, comparison_rules


class Greater(Comparison):
    """a > b; LiteRT compares 16-bit codes as they are."""

    name = "greater"
    sources = {"tflite": "GREATER"}
    options = TfliteOptions("GreaterOptions")
    rules = comparison_rules(
        ("int16", "int32", "int64", "float32"), ("int8", "uint8"), ("int8", "int32", "int64", "float32")
    )
    compare = np.greater


OP = Greater()
