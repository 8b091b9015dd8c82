"""QUANTIZE: real values to codes, or codes of one scale to codes of another."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.quantize import quantize_half_away, quantize_half_even, requantize_eight_bit_multiplier
from hwsim.kernels.requantize import ROUNDINGS, OutputStage, requantize_rows
from hwsim.ops._base import Arrays, Op, RuleFor, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.quantizers.multiplier import quantize_multiplier

_BYTES = ("int8", "uint8")
_FROM_FLOAT = [f"float32>{dtype}" for dtype in (*_BYTES, "int16")]
_BYTE_TO_BYTE = [f"{source}>{target}" for source in _BYTES for target in _BYTES]
_WIDER = ["int16>int8", "int8>int16", "int16>int16", "int16>int32", "int8>int32", "int32>int8", "int32>int16"]


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
            **_each(_BYTE_TO_BYTE + _WIDER, Rule("double_rounding")),
        },
        "litert-optimized": {
            **_each(_FROM_FLOAT, Rule("half_even")),
            **_each(_BYTE_TO_BYTE, Rule("double_half_up")),
        },
        "xnnpack": {**_each(_FROM_FLOAT, Rule("half_even")), **_each(_BYTE_TO_BYTE, _eight_bit)},
        "tflite-micro": {
            **_each(_FROM_FLOAT, Rule("half_away")),
            **_each(_BYTE_TO_BYTE + _WIDER, Rule("double_rounding")),
        },
    }

    def signature(self, view: NodeView) -> str:
        return f"{view.input(0).dtype}>{view.output().dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        run = _from_float(view, rule) if view.input(0).dtype == "float32" else _from_codes(view, rule)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            run(inputs[0].reshape(-1), outputs[0].reshape(-1))

        return step


def _from_float(view: NodeView, rule: Rule) -> Callable[..., Any]:
    output = view.output()
    ends = limits(output.dtype)
    if rule.algorithm == "half_away":
        return lambda values, out: quantize_half_away(values, output.scale, output.zero_point, *ends, out)
    if rule.algorithm == "half_even":
        inverse = float(np.float32(1.0) / np.float32(output.scale))
        return lambda values, out: quantize_half_even(values, inverse, output.zero_point, *ends, out)
    raise no_rule(view, rule)


def _from_codes(view: NodeView, rule: Rule) -> Callable[..., Any]:
    source, output = view.input(0), view.output()
    ends = limits(output.dtype)
    if rule.algorithm == "eight_bit_multiplier":
        multiplier = int(np.rint(np.float32(256.0) * (np.float32(source.scale) / np.float32(output.scale))))
        return lambda codes, out: requantize_eight_bit_multiplier(
            codes, source.zero_point, multiplier, output.zero_point, *ends, out
        )
    if rule.algorithm not in ("double_rounding", "double_half_up", "single_rounding"):
        raise no_rule(view, rule)
    scale = np.array([source.scale / output.scale])
    multiplier_, shift = quantize_multiplier(scale)
    stage = OutputStage(ROUNDINGS[rule.algorithm], multiplier_, shift, scale, output.zero_point, *ends)

    def run(codes: Any, out: Any) -> None:
        centered = codes.astype(np.int64) - source.zero_point
        requantize_rows(centered.reshape(-1, 1).astype(np.int32), stage, out.reshape(-1, 1))

    return run


OP = Quantize()
