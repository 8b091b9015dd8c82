"""NOT_EQUAL: whether the first value is unequal to the second."""

import numpy as np

from hwsim.ops._base import TfliteOptions
from hwsim.ops._comparison import Comparison, comparison_rules


class NotEqual(Comparison):
    """a != b."""

    name = "not_equal"
    sources = {"tflite": "NOT_EQUAL"}
    options = TfliteOptions("NotEqualOptions")
    rules = comparison_rules(
        ("int32", "int64", "float32", "bool"), ("int8", "uint8", "int16"), ("int8", "int32", "int64", "float32", "bool")
    )
    compare = np.not_equal


OP = NotEqual()
