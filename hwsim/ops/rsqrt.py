"""RSQRT: 1 / sqrt(x)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import InputError
from hwsim.graph import NodeView
from hwsim.kernels.inverse_sqrt import rsqrt
from hwsim.ops._base import Arrays, Step, limits, no_rule
from hwsim.ops._byte_function import ByteFunction, multiplier_of
from hwsim.ops._float import FLOAT, FLOATS, Reals, numbers, own_root
from hwsim.ops._table_int16 import fill_interpolated


class Rsqrt(ByteFunction):
    """Engines stop at codes below the zero point, and so does hwsim.

    Source: LiteRT tflite/kernels/elementwise.cc; TFLM micro/kernels/elementwise.cc.
    """

    name = "rsqrt"
    sources = {"tflite": "RSQRT"}
    rules = {
        "litert-reference": {"int8": Rule("newton"), "int16": Rule("interpolated"), **numbers("float32")},
        "xnnpack": {"float32": own_root},
        "tflite-micro": {"int8": Rule("newton"), "int16": Rule("newton"), **numbers("float32")},
        "float": FLOATS,
    }

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return super().bind(view, rule)
        look_up, zero_point = super().bind(view, rule), view.input(0).zero_point

        def step(inputs: Arrays, outputs: Arrays) -> None:
            if (inputs[0] < zero_point).any():
                raise InputError(f"{view.label}: has an input below 0; no engine has a result for it")
            look_up(inputs, outputs)

        return step

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        source, output = np.float32(view.input(0).scale), np.float32(view.output().scale)
        if rule.algorithm == "interpolated":
            fill_interpolated(view, lambda x: _reciprocal_root(x, np.float32(32767.0) * output), values, out)
            return
        if rule.algorithm != "newton":
            raise no_rule(view, rule)
        multiplier, shift = multiplier_of(1.0 / float(np.sqrt(source) * output))
        rsqrt(values, multiplier, shift, view.output().zero_point, *limits(view.output().dtype), out)

    def real(self, view: NodeView, values: Reals) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):  # as any float engine: infinite at 0, NaN below
            return np.float32(1.0) / np.sqrt(values)


def _reciprocal_root(x: Reals, largest: np.float32) -> Reals:
    """1 / sqrt(x), and `largest` from 0 down."""
    root = np.sqrt(np.where(x > 0, x, np.float32(1.0)))
    return np.where(x > 0, np.float32(1.0) / root, largest)


OP = Rsqrt()
