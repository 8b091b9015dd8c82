"""ABS: the magnitude."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import TfliteOptions, limits, no_rule
from hwsim.ops._byte_function import ByteFunction, fill_scaled
from hwsim.ops._float import FLOATS, Reals, numbers


class Abs(ByteFunction):
    """Moved to the output's scale where that is another.

    Source: LiteRT tflite/kernels/elementwise.cc; TFLM micro/kernels/elementwise.cc.
    """

    name = "abs"
    sources = {"tflite": "ABS"}
    options = TfliteOptions("AbsOptions")
    rules = {
        "litert-reference": {
            **dict.fromkeys(("int8", "int16"), Rule("double_rounding", "float32")),
            **numbers("int32", "float32"),
        },
        "tflite-micro": {**dict.fromkeys(("int8", "int16"), Rule("double_rounding")), **numbers("float32")},
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm != "double_rounding":
            raise no_rule(view, rule)
        fill_scaled(view, rule, np.abs(values), limits(view.output().dtype), out)

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.abs(values)


OP = Abs()
