"""QUANTIZE: real values to codes, or codes of one scale to codes of another."""

from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.onnxruntime import quantize_divided_half_even
from hwsim.kernels.quantize import (
    quantize_half_away,
    quantize_half_even,
    quantize_limited_half_even,
    requantize_eight_bit_multiplier,
)
from hwsim.kernels.requantize import ROUNDINGS, OutputStage, requantize_rows
from hwsim.ops._accumulating import known_to_vectors
from hwsim.ops._base import Arrays, Op, RuleFor, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._vector_elementwise import vector_requantization
from hwsim.ops._vectors import Array, Compute, body_and_tail
from hwsim.quantizers.multiplier import NARROW_SCALES, narrowed, quantize_multiplier

FLOAT_VECTOR, CODE_VECTOR = 8, 16

_BYTES = ("int8", "uint8")
_FROM_FLOAT = [f"float32>{dtype}" for dtype in _BYTES]
_BYTE_TO_BYTE = [f"{source}>{target}" for source in _BYTES for target in _BYTES]
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
            **_each(_BYTE_TO_BYTE, Rule("double_rounding")),
        },
        "litert-optimized": {
            **_each(_FROM_FLOAT, Rule("half_even_vectors")),
            **_each(_BYTE_TO_BYTE, Rule("double_half_up_vectors")),
        },
        "xnnpack": {**_each(_FROM_FLOAT, Rule("limited_half_even")), **_each(_BYTE_TO_BYTE, _eight_bit)},
        "tflite-micro": {
            **_each(["float32>int8"], Rule("half_away")),
            **_each(_MICRO_BYTES, Rule("double_rounding")),
        },
        "onnxruntime": _each(_FROM_FLOAT, Rule("divided_half_even")),
        "fbgemm": _each(_FROM_FLOAT, Rule("half_even")),
        "qnnpack": _each(_FROM_FLOAT, Rule("half_even")),
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

        if rule.scale in NARROW_SCALES or not known_to_vectors(rule):
            return step

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            source, output = view.input(0), view.output()
            same = rule.algorithm in ROUNDINGS or prod(output.shape) % CODE_VECTOR == 0
            if self.signature(view) not in _BYTE_TO_BYTE or not same or rule.algorithm == "eight_bit_multiplier":
                return None
            rounding = rule.algorithm.removesuffix("_vectors")
            return vector_requantization(_stage(view, rounding), source.zero_point, inputs[0], outputs[0])

        return FixableStep(step, fixed)


def _from_float(view: NodeView, rule: Rule) -> Compute:
    output = view.output()
    scale, zero_point, ends = np.float32(output.scale), output.zero_point, limits(output.dtype)
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

    if rule.algorithm == "half_even_vectors":
        return body_and_tail(prod(view.input(0).shape), FLOAT_VECTOR, half_even, half_away_float64)
    known = {"half_away": half_away, "half_even": half_even, "limited_half_even": limited_half_even}
    known["divided_half_even"] = divided_half_even
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


def _stage(view: NodeView, rounding: str) -> OutputStage:
    source, output = view.input(0), view.output()
    scale = np.array([source.scale / output.scale])
    return OutputStage(
        ROUNDINGS[rounding], *quantize_multiplier(scale), scale, output.zero_point, *limits(output.dtype)
    )


OP = Quantize()
