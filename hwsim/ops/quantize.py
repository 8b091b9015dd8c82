"""QUANTIZE: real values to codes, or codes of one scale to codes of another."""

from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.onnxruntime import quantize_divided_half_even
from hwsim.kernels.quantize import (
    quantize_fused_half_even,
    quantize_half_away,
    quantize_half_even,
    quantize_limited_half_even,
    requantize_eight_bit_multiplier,
)
from hwsim.kernels.requantize import ROUNDINGS, OutputStage, requantize_rows
from hwsim.ops._accumulating import vectorizable
from hwsim.ops._base import Arrays, Op, RuleFor, Shape, Step, TfliteOptions, code_limits, limits, no_rule
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._vector_moves import lookup
from hwsim.ops._vectors import Array, Compute, body_and_tail
from hwsim.quantizers.multiplier import NARROW_SCALES, narrowed, quantize_multiplier

FLOAT_VECTOR, CODE_VECTOR = 8, 16

_BYTES = ("int8", "uint8")
_FROM_FLOAT = [f"float32>{dtype}" for dtype in (*_BYTES, "int16")]
_BYTE_TO_BYTE = [f"{source}>{target}" for source in _BYTES for target in _BYTES]
_WIDE = ("int16>int16", "int16>int8", "int8>int16", "int16>int32", "int32>int16", "int32>int8")
_MICRO_BYTES = [pair for pair in _BYTE_TO_BYTE if pair != "uint8>uint8"]


def _eight_bit(view: NodeView) -> Rule | None:
    """XNNPACK converts between byte tensors of one signedness whose scale ratio is in [2^-8, 2^7]."""
    ratio = np.float32(view.input(0).scale) / np.float32(view.output().scale)
    same = view.input(0).dtype == view.output().dtype
    return Rule("eight_bit_multiplier") if same and 2.0**-8 <= ratio <= 2.0**7 else None


def _each(signatures: list[str], rule: RuleFor) -> dict[str, RuleFor]:
    return dict.fromkeys(signatures, rule)


class Quantize(Op):
    """From float32, or between integer formats."""

    name = "quantize"
    sources = {"tflite": "QUANTIZE"}
    options = TfliteOptions("QuantizeOptions")
    rules = {
        "litert-reference": {
            **_each(_FROM_FLOAT, Rule("half_away")),
            **_each([*_BYTE_TO_BYTE, *_WIDE], Rule("double_rounding")),
        },
        "litert-optimized": {
            **_each(_FROM_FLOAT, Rule("half_even_vectors")),
            **_each(_BYTE_TO_BYTE, Rule("double_half_up_vectors")),
        },
        "xnnpack": {**_each(_FROM_FLOAT[:2], Rule("limited_half_even")), **_each(_BYTE_TO_BYTE, _eight_bit)},
        "tflite-micro": {
            **_each(["float32>int8", "float32>int16"], Rule("half_away")),
            **_each([*_MICRO_BYTES, *_WIDE, "int8>int32"], Rule("double_rounding")),
        },
        "onnxruntime": _each(_FROM_FLOAT, Rule("divided_half_even")),
        "aten": _each(_FROM_FLOAT, Rule("fused_half_even")),
        "onednn-pt2e": _each(_FROM_FLOAT, Rule("half_even")),
    }

    def signature(self, view: NodeView) -> str:
        return f"{view.input(0).dtype}>{view.output().dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        run = _from_float(view, rule) if view.input(0).dtype == "float32" else _from_codes(view, rule)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            samples = inputs[0].shape[0]
            run(inputs[0].reshape(samples, -1), outputs[0].reshape(samples, -1))

        if rule.scale in NARROW_SCALES or not vectorizable(rule):
            return step

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if self.signature(view) not in _BYTE_TO_BYTE:
                return None
            table = _table(view, rule)
            return None if table is None else lookup(table, limits(view.input(0).dtype)[0], inputs[0], outputs[0])

        return FixableStep(step, fixed)


def _from_float(view: NodeView, rule: Rule) -> Compute:
    output = view.output()
    scale, zero_point, ends = np.float32(output.scale), output.zero_point, code_limits(output)
    inverse = np.float32(1.0) / scale

    def half_away(values: Array, out: Array) -> None:
        quantize_half_away(values, scale, zero_point, *ends, out)

    def half_even(values: Array, out: Array) -> None:
        quantize_half_even(values, inverse, zero_point, *ends, out)

    def limited_half_even(values: Array, out: Array) -> None:
        quantize_limited_half_even(values, inverse, zero_point, *ends, out)

    def half_away_float64(values: Array, out: Array) -> None:
        quantize_half_away(values, np.float64(scale), zero_point, *ends, out)

    def divided_half_even(values: Array, out: Array) -> None:
        quantize_divided_half_even(values, scale, zero_point, *ends, out)

    def fused_half_even(values: Array, out: Array) -> None:
        quantize_fused_half_even(values, inverse, zero_point, *ends, out)

    if rule.algorithm == "half_even_vectors":
        return body_and_tail(prod(view.input(0).shape), FLOAT_VECTOR, half_even, half_away_float64)
    known = {"half_away": half_away, "half_even": half_even, "limited_half_even": limited_half_even}
    known |= {"divided_half_even": divided_half_even, "fused_half_even": fused_half_even}
    if rule.algorithm not in known:
        raise no_rule(view, rule)
    return known[rule.algorithm]


def _from_codes(view: NodeView, rule: Rule) -> Compute:
    source, output = view.input(0), view.output()
    ends = limits(output.dtype)
    if rule.algorithm == "eight_bit_multiplier":
        multiplier = int(np.rint(np.float32(256.0) * (np.float32(source.scale) / np.float32(output.scale))))
        return lambda codes, out: requantize_eight_bit_multiplier(
            codes, source.zero_point, multiplier, output.zero_point, *ends, out
        )
    if rule.algorithm == "double_half_up_vectors":
        return body_and_tail(
            prod(view.input(0).shape), CODE_VECTOR, _rounded(view, "double_half_up"), _rounded(view, "double_rounding")
        )
    if rule.algorithm not in ROUNDINGS:
        raise no_rule(view, rule)
    return _rounded(view, rule.algorithm, rule.scale)


def _rounded(view: NodeView, rounding: str, precision: str = "float64") -> Compute:
    source, output = view.input(0), view.output()
    scale = narrowed(np.array([source.scale / output.scale]), precision)
    stage = OutputStage(
        ROUNDINGS[rounding], *quantize_multiplier(scale), scale, output.zero_point, *limits(output.dtype)
    )

    def run(codes: Array, out: Array) -> None:
        for row, result in zip(codes, out, strict=True):
            centered = (row.astype(np.int64) - source.zero_point).astype(np.int32)
            requantize_rows(centered.reshape(-1, 1), stage, result.reshape(-1, 1))

    return run


def _table(view: NodeView, rule: Rule) -> Array | None:
    """The output code of every input code, smallest first; None where it depends on the place in the tensor."""
    low, high = limits(view.input(0).dtype)
    codes = np.arange(low, high + 1).astype(view.input(0).dtype)[:, None]
    ways = [_from_codes(view, rule)]
    if rule.algorithm == "double_half_up_vectors":
        size = prod(view.input(0).shape)
        ways = [_rounded(view, "double_half_up")] if size >= CODE_VECTOR else []
        ways += [_rounded(view, "double_rounding")] if size % CODE_VECTOR else []
    tables = [np.empty((256, 1), view.output().dtype) for _ in ways]
    for way, table in zip(ways, tables, strict=True):
        way(codes, table)
    same = bool(tables) and all(np.array_equal(table, tables[0]) for table in tables)
    return np.ascontiguousarray(tables[0][:, 0]) if same else None


OP = Quantize()
