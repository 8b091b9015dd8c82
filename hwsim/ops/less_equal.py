"""LESS_EQUAL: whether the first value is at most the second."""

import numpy as np

from hwsim.ops._base import TfliteOptions
from hwsim.ops._comparison import Comparison, comparison_rules


class LessEqual(Comparison):
    """a <= b; LiteRT compares 16-bit codes as they are."""

    name = "less_equal"
    sources = {"tflite": "LESS_EQUAL"}
    options = TfliteOptions("LessEqualOptions")
    rules = comparison_rules(
        ("int16", "int32", "int64", "float32"), ("int8", "uint8"), ("int8", "int32", "int64", "float32")
    )
    compare = np.less_equal


OP = LessEqual()
