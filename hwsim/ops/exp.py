"""EXP: the exponential function."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import TfliteOptions
from hwsim.ops._byte_function import ByteFunction, fill_from_real, real_values
from hwsim.ops._float import FLOATS, Reals
from hwsim.ops._table_int16 import fill_interpolated
from hwsim.quantizers.expf import expf


class Exp(ByteFunction):
    """A table of float32 values, for 16 bits of 513 of them; TFLM has it for floats only.

    Source: LiteRT tflite/kernels/exp.cc.
    """

    name = "exp"
    sources = {"tflite": "EXP"}
    options = TfliteOptions("ExpOptions")
    rules = {
        "litert-reference": {"int8": Rule("float_table"), "int16": Rule("interpolated")},
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm == "interpolated":
            fill_interpolated(view, _exp, values, out)
        else:
            fill_from_real(view, rule, _exp(real_values(view, values)), out)

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.exp(values)


def _exp(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return expf(np.clip(x, np.float32(-87.0), np.float32(88.0)))


OP = Exp()
