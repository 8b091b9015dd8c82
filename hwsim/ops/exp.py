"""EXP: the exponential function."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import TfliteOptions
from hwsim.ops._byte_function import ByteFunction, fill_from_real, real_values
from hwsim.quantizers.expf import expf


class Exp(ByteFunction):
    """A table of float32 values; TFLM has it for floats only.

    Source: LiteRT tflite/kernels/exp.cc.
    """

    name = "exp"
    sources = {"tflite": "EXP"}
    options = TfliteOptions("ExpOptions")
    rules = {"litert-reference": {"int8": Rule("float_table")}}

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        fill_from_real(view, rule, expf(np.clip(real_values(view, values), -87.0, 88.0)), out)


OP = Exp()
