"""Operators that are a function of one code: of a byte by a table made when bound, of an int16 as it comes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.lookup import codes_half_away, codes_half_even, lookup
from hwsim.kernels.requantize import ROUNDINGS, OutputStage, requantize_rows
from hwsim.ops._base import Arrays, Op, Shape, Step, limits, no_rule, symmetric_int16
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._float import NUMBERS, Reals, pointwise
from hwsim.ops._vector_moves import lookup as vector_lookup
from hwsim.quantizers.multiplier import quantize_multiplier

Array = NDArray[Any]

BYTES = ("int8", "uint8")


class ByteFunction(Op):
    """An operator with one input and one output of the same shape and dtype."""

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: Array) -> None:
        """Fill `out` with the codes for `values`: codes less their zero point, of bytes all 256 in order."""
        raise NotImplementedError

    def real(self, view: NodeView, values: Reals) -> Any:
        """The function of float32 `values`."""
        raise NotImplementedError

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule in NUMBERS:
            return pointwise(lambda values: self.real(view, values))
        if view.input(0).dtype == "int16":
            return self._bind_int16(view, rule)
        low, high = limits(view.input(0).dtype)
        table = np.empty(256, view.output().dtype)
        self.table(view, rule, np.arange(low, high + 1) - view.input(0).zero_point, table)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            samples = inputs[0].shape[0]
            lookup(inputs[0].reshape(samples, -1), table, low, outputs[0].reshape(samples, -1))

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            return vector_lookup(table, low, inputs[0], outputs[0])

        return FixableStep(step, fixed)

    def _bind_int16(self, view: NodeView, rule: Rule) -> Step:
        symmetric_int16(view, [view.input(0), view.output()])
        self.table(view, rule, np.zeros(0, np.int64), np.zeros(0, np.int16))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            self.table(view, rule, inputs[0].reshape(-1).astype(np.int64), outputs[0].reshape(-1))

        return step


def scale_ratio(view: NodeView, precision: str) -> float:
    """Input scale over output scale, divided in 'float32' or 'float64'."""
    source, output = view.input(0).scale, view.output().scale
    return source / output if precision == "float64" else float(np.float32(source) / np.float32(output))


def multiplier_of(real: float | np.floating[Any]) -> tuple[int, int]:
    """One real multiplier as (multiplier, shift)."""
    multiplier, shift = quantize_multiplier(float(real))
    return int(multiplier[0]), int(shift[0])


def real_values(view: NodeView, values: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 product of the input's scale and `values`."""
    return np.float32(view.input(0).scale) * values.astype(np.float32)


def fill_from_real(view: NodeView, rule: Rule, real: NDArray[np.float32], out: Array) -> None:
    """Fill `out` with the codes of float32 values: LiteRT's `float_table`, or XNNPACK's `float_half_even`."""
    output = view.output()
    codes = {"float_table": codes_half_away, "float_half_even": codes_half_even}.get(rule.algorithm)
    if codes is None:
        raise no_rule(view, rule)
    codes(real, np.float32(1.0) / np.float32(output.scale), output.zero_point, *limits(output.dtype), out)


def fill_scaled(view: NodeView, rule: Rule, values: NDArray[np.int64], bounds: tuple[int, int], out: Array) -> None:
    """Fill `out` with values moved to the output's scale, rounded twice, limited to the codes `bounds`."""
    scale = np.array([scale_ratio(view, rule.scale)])
    stage = OutputStage(
        ROUNDINGS[rule.algorithm], *quantize_multiplier(scale), scale, view.output().zero_point, *bounds
    )
    requantize_rows(values.reshape(-1, 1), stage, out.reshape(-1, 1))
