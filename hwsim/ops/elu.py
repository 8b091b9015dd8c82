"""ELU: x, or exp(x) - 1 below zero."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._byte_function import ByteFunction, fill_from_real, real_values
from hwsim.ops._float import FLOATS, Reals
from hwsim.quantizers.expf import expf


class Elu(ByteFunction):
    """A table of float32 values; LiteRT's reference kernels lack it.

    Source: LiteRT tflite/kernels/activations.cc, EluPrepare; TFLM micro/kernels/elu.cc.
    """

    name = "elu"
    sources = {"tflite": "ELU"}
    rules = {
        "litert-optimized": {"int8": Rule("float_table")},
        "xnnpack": {"int8": Rule("float_half_even")},
        "tflite-micro": {"int8": Rule("float_table")},
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        real = real_values(view, values)
        below = expf(np.clip(real, -87.0, 0.0)) - np.float32(1.0)
        fill_from_real(view, rule, np.where(real < 0, below, real).astype(np.float32), out)

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.where(values < 0, np.expm1(np.minimum(values, np.float32(0.0))), values)


OP = Elu()
