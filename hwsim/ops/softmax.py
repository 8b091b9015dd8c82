"""SOFTMAX over the last axis."""

from collections.abc import Callable
from functools import cache
from math import exp, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.engines._profile import BYTES
from hwsim.graph import NodeView
from hwsim.kernels.softmax import exponentials_fixed_point, softmax_fixed_point, softmax_float_table
from hwsim.kernels.softmax_int16 import softmax_int16
from hwsim.ops import _onnxruntime
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule, symmetric_int16
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._float import FLOAT
from hwsim.ops._float import softmax as float_softmax
from hwsim.ops._ibert import CODES, RULE, ibert_softmax
from hwsim.ops._stated import from_scales_only, stated_real
from hwsim.ops._vector_layer import fits
from hwsim.ops._vector_reductions import softmax as vector_softmax
from hwsim.quantizers.expf import expf
from hwsim.quantizers.multiplier import quantize_multiplier
from hwsim.quantizers.table_int16 import table_int16

INPUT_INTEGER_BITS = 5


class Softmax(Op):
    """exp(beta * x) / sum; 8-bit codes in, 8 or 16 bits out, or 16-bit codes in and out; of I-BERT also sums in."""

    name = "softmax"
    sources = {"tflite": "SOFTMAX"}
    options = TfliteOptions("SoftmaxOptions", {"beta": "Beta"})
    stated = ("input_multiplier", "input_shift")
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
        "onnxruntime": {f"{kind}>{kind}": _onnxruntime.FLOAT32 for kind in BYTES},
        "ibert": {f"{source}>{target}": RULE for source in CODES for target in BYTES},
        "float": {"float32>float32": FLOAT},
    }

    def signature(self, view: NodeView) -> str:
        return f"{view.input(0).dtype}>{view.output().dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == RULE:
            from_scales_only(view)
            return ibert_softmax(view, _beta(view))
        if rule == FLOAT:
            return float_softmax(view)
        if rule == _onnxruntime.FLOAT32 and _beta(view) == 1.0:
            from_scales_only(view)
            return _onnxruntime.softmax(view)
        if rule.algorithm == "tables" and view.input(0).dtype == "int16":
            return _tables(view, narrow=rule.scale == "float32")
        known: dict[str, Callable[[NodeView], NDArray[Any]]] = {
            "fixed_point": _fixed_point,
            "float_table": _float_table,
        }
        if rule.algorithm not in known or view.input(0).dtype == "int16":
            raise no_rule(view, rule)
        table: NDArray[Any] = known[rule.algorithm](view)
        depth, bits = view.input(0).shape[-1], 8 * np.dtype(view.output().dtype).itemsize
        scale, ends = view.output().scale, limits(view.output().dtype)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            rows, out = inputs[0].reshape(-1, depth), outputs[0].reshape(-1, depth)
            if rule.algorithm == "fixed_point":
                softmax_fixed_point(rows, table, ends[0], bits, out)
            else:
                softmax_float_table(rows, table, scale, *ends, out)

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if not fits(inputs[0], outputs[0]):
                return None
            return vector_softmax(table, scale, ends, inputs[0].reshape(-1, depth), outputs[0].reshape(-1, depth))

        return FixableStep(step, fixed)


def _beta(view: NodeView) -> float:
    return float(np.float32(view.attributes.get("beta", 1.0)))  # type: ignore[arg-type]


def _fixed_point(view: NodeView) -> NDArray[np.int64]:
    """Exponentials by distance from the largest code."""
    stated = stated_real(view, "input", 1)
    scale = _beta(view) * view.input(0).scale
    real = min(scale * 2.0 ** (31 - INPUT_INTEGER_BITS), 2.0**31 - 1) if stated is None else stated[0]
    multiplier, shift = (int(part[0]) for part in quantize_multiplier(real))
    furthest = ((1 << INPUT_INTEGER_BITS) - 1) * 2.0 ** (31 - INPUT_INTEGER_BITS) / 2.0**shift
    table = np.empty(256, np.int64)
    exponentials_fixed_point(multiplier, shift, -floor(furthest), table)
    return table


def _float_table(view: NodeView) -> NDArray[np.float32]:
    """Exponentials by distance from the largest code."""
    from_scales_only(view)
    step = np.float32(-view.input(0).scale) * np.float32(_beta(view))
    return expf(step * np.arange(256, dtype=np.float32))


def _tables(view: NodeView, *, narrow: bool) -> Step:
    """LiteRT makes the tables in float64 and multiplies scale and beta in float32, TFLM the other way round."""
    symmetric_int16(view, [view.input(0), view.output()])
    exponentials, reciprocals = _int16_tables(narrow)
    scale, beta = np.float32(view.input(0).scale), np.float32(_beta(view))
    product, stated = float(scale) * float(beta) if narrow else float(scale * beta), stated_real(view, "input", 1)
    real = product / (10.0 / 65535.0) if stated is None else stated[0]
    multiplier, shift = (int(part[0]) for part in quantize_multiplier(real))
    depth = view.input(0).shape[-1]

    def step(inputs: Arrays, outputs: Arrays) -> None:
        rows, out = inputs[0].reshape(-1, depth), outputs[0].reshape(-1, depth)
        softmax_int16(rows, multiplier, shift, exponentials, reciprocals, out)

    return step


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
