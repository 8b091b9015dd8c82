"""LESS: whether the first value is less than the second."""

import numpy as np

from hwsim.ops._base import TfliteOptions
from hwsim.ops._comparison import Comparison, comparison_rules


class Less(Comparison):
    """a < b; LiteRT compares 16-bit codes as they are."""

    name = "less"
    sources = {"tflite": "LESS"}
    options = TfliteOptions("LessOptions")
    rules = comparison_rules(
        ("int16", "int32", "int64", "float32"), ("int8", "uint8"), ("int8", "int32", "int64", "float32")
    )
    compare = np.less


OP = Less()
