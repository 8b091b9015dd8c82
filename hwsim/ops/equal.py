"""EQUAL: whether the first value is equal to the second."""

import numpy as np

from hwsim.ops._base import TfliteOptions
from hwsim.ops._comparison import Comparison, comparison_rules


class Equal(Comparison):
    """a == b."""

    name = "equal"
    sources = {"tflite": "EQUAL"}
    options = TfliteOptions("EqualOptions")
    rules = comparison_rules(
        ("int32", "int64", "float32", "bool"), ("int8", "uint8", "int16"), ("int8", "int32", "int64", "float32", "bool")
    )
    compare = np.equal


OP = Equal()
