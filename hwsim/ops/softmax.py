"""SOFTMAX over the last axis."""

from collections.abc import Callable
from functools import cache, partial
from math import exp, floor

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.softmax import softmax_fixed_point, softmax_float_table
from hwsim.kernels.softmax_int16 import softmax_int16
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule, symmetric_int16
from hwsim.ops._vectors import Compute
from hwsim.quantizers.expf import expf
from hwsim.quantizers.multiplier import quantize_multiplier
from hwsim.quantizers.table_int16 import table_int16

INPUT_INTEGER_BITS = 5


class Softmax(Op):
    """exp(beta * x) / sum; 8-bit codes in, 8 or 16 bits out, or 16-bit codes in and out."""

    name = "softmax"
    sources = {"tflite": "SOFTMAX"}
    options = TfliteOptions("SoftmaxOptions", {"beta": "Beta"})
    rules = {
        "litert-reference": {
            "int8>int8": Rule("fixed_point"),
            "int8>int16": Rule("fixed_point"),
            "uint8>uint8": Rule("fixed_point"),
            "int16>int16": Rule("tables", "float64"),
        },
        "litert-optimized": {
            "int8>int8": Rule("float_table"),
            "int8>int16": Rule("float_table"),
            "uint8>uint8": Rule("float_table"),
        },
        "tflite-micro": {
            "int8>int8": Rule("fixed_point"),
            "int8>int16": Rule("fixed_point"),
            "int16>int16": Rule("tables", "float32"),
        },
    }

    def signature(self, view: NodeView) -> str:
        return f"{view.input(0).dtype}>{view.output().dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        known: dict[str, Callable[[NodeView], Compute]] = {
            "fixed_point": _fixed_point,
            "float_table": _float_table,
            "tables": partial(_tables, narrow=rule.scale == "float32"),
        }
        if rule.algorithm not in known or (rule.algorithm == "tables") != (view.input(0).dtype == "int16"):
            raise no_rule(view, rule)
        run = known[rule.algorithm](view)
        depth = view.input(0).shape[-1]

        def step(inputs: Arrays, outputs: Arrays) -> None:
            run(inputs[0].reshape(-1, depth), outputs[0].reshape(-1, depth))

        return step


def _beta(view: NodeView) -> float:
    return float(np.float32(view.attributes.get("beta", 1.0)))  # type: ignore[arg-type]


def _fixed_point(view: NodeView) -> Compute:
    real = min(_beta(view) * view.input(0).scale * 2.0 ** (31 - INPUT_INTEGER_BITS), 2.0**31 - 1)
    multiplier, shift = (int(part[0]) for part in quantize_multiplier(real))
    furthest = ((1 << INPUT_INTEGER_BITS) - 1) * 2.0 ** (31 - INPUT_INTEGER_BITS) / 2.0**shift
    minimum, bits = limits(view.output().dtype)[0], 8 * np.dtype(view.output().dtype).itemsize
    return lambda rows, out: softmax_fixed_point(rows, multiplier, shift, -floor(furthest), minimum, bits, out)


def _float_table(view: NodeView) -> Compute:
    step = np.float32(-view.input(0).scale) * np.float32(_beta(view))
    table = expf(step * np.arange(256, dtype=np.float32))
    scale, ends = view.output().scale, limits(view.output().dtype)
    return lambda rows, out: softmax_float_table(rows, table, scale, *ends, out)


def _tables(view: NodeView, narrow: bool) -> Compute:
    """LiteRT makes the tables in float64 and multiplies scale and beta in float32, TFLM the other way round."""
    symmetric_int16(view, [view.input(0), view.output()])
    exponentials, reciprocals = _int16_tables(narrow)
    scale, beta = np.float32(view.input(0).scale), np.float32(_beta(view))
    product = float(scale) * float(beta) if narrow else float(scale * beta)
    multiplier, shift = (int(part[0]) for part in quantize_multiplier(product / (10.0 / 65535.0)))
    return lambda rows, out: softmax_int16(rows, multiplier, shift, exponentials, reciprocals, out)


@cache
def _int16_tables(narrow: bool) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Of exp on [-10, 0] and of 1 / (1 + x) on [0, 1], made in float32 or in float64 with C's exp.

    Source: LiteRT tflite/kernels/activations.cc, SoftmaxPrepare; TFLM micro/kernels/softmax_common.cc.
    """
    kind = np.float32 if narrow else np.float64
    target = kind(2.0) / kind(65535), 0
    exponential = expf if narrow else lambda values: np.array([exp(value) for value in values])
    return (
        table_int16(exponential, (kind(10.0) / kind(65535), 32767), target),
        table_int16(lambda values: kind(1.0) / (kind(1.0) + values), (kind(1.0) / kind(65535), -32768), target),
    )


OP = Softmax()
