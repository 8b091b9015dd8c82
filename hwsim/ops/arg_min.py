"""ARG_MIN: the index of the smallest code along one axis."""

import numpy as np

from hwsim.ops._base import TfliteOptions
from hwsim.ops.arg_max import ArgMax


class ArgMin(ArgMax):
    """As ARG_MAX, of the smallest."""

    name = "arg_min"
    sources = {"tflite": "ARG_MIN"}
    options = TfliteOptions("ArgMinOptions", {"output_type": "OutputType"})
    choose = staticmethod(np.argmin)


OP = ArgMin()
