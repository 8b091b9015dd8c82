"""GELU: x times the normal distribution function of x, or its approximation by tanh."""

from math import erfc
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.tanhf import tanhf
from hwsim.ops._base import Step, TfliteOptions
from hwsim.ops._byte_function import ByteFunction, fill_from_real, real_values
from hwsim.ops._float import FLOATS, Reals
from hwsim.ops._ibert import CODES, RULE, ibert_gelu
from hwsim.ops._table_int16 import fill_interpolated


class Gelu(ByteFunction):
    """A table of float32 values, for 16 bits of 513 of them; TFLM lacks it. I-BERT computes it in integers.

    Source: LiteRT tflite/kernels/gelu.cc, reference/gelu.h; I-BERT: `hwsim.kernels.ibert`.
    """

    name = "gelu"
    sources = {"tflite": "GELU"}
    options = TfliteOptions("GeluOptions", {"approximate": "Approximate"})
    rules = {
        "litert-reference": {"int8": Rule("float_table"), "uint8": Rule("float_table"), "int16": Rule("interpolated")},
        "ibert": {f"{source}>int8": RULE for source in CODES[1:]} | {"int8": RULE, "int16": RULE},
        "float": FLOATS,
    }

    def signature(self, view: NodeView) -> str:
        source, output = view.input(0).dtype, view.output().dtype
        return source if source == output else f"{source}>{output}"

    def bind(self, view: NodeView, rule: Rule) -> Step:
        return ibert_gelu(view) if rule == RULE else super().bind(view, rule)

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        compute = _approximate if view.attributes.get("approximate") else _exact
        if rule.algorithm == "interpolated":
            fill_interpolated(view, compute, values, out)
        else:
            fill_from_real(view, rule, compute(real_values(view, values)), out)

    def real(self, view: NodeView, values: Reals) -> Any:
        from scipy.special import erfc

        half = np.float32(0.5) * values
        if view.attributes.get("approximate"):
            return half * (np.float32(1.0) + np.tanh(_bent(values)))
        return half * erfc(values * np.float32(-(0.5**0.5)))


def _exact(x: Reals) -> Reals:
    """0.5 * x * erfc(-x / sqrt(2)); C's erfcf is taken to be the nearest float32."""
    scaled = x * np.float32(-(0.5**0.5))
    tails = np.array([erfc(float(value)) for value in scaled], np.float32)
    result: Reals = np.float32(0.5) * x * tails
    return result


def _approximate(x: Reals) -> Reals:
    """0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))."""
    curve = np.empty_like(x)
    tanhf(_bent(x), curve)
    result: Reals = np.float32(0.5) * x * (np.float32(1.0) + curve)
    return result


def _bent(x: Reals) -> Reals:
    """What the approximation takes tanh of."""
    bent: Reals = np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
    return bent


OP = Gelu()
