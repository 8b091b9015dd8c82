"""LEAKY_RELU: x, or alpha * x below zero."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.leaky_relu import leaky_relu_double_rounding, leaky_relu_eight_bit_multiplier
from hwsim.ops import _onnxruntime
from hwsim.ops._base import TfliteOptions, limits, no_rule
from hwsim.ops._byte_function import BYTES, ByteFunction, multiplier_of, real_values
from hwsim.ops._float import FLOATS, Reals, numbers

_SMALLEST, _LARGEST = np.float32(2.0**-8), np.float32(2.0**7)


def _ratios(view: NodeView) -> tuple[np.float32, np.float32]:
    """XNNPACK's float32 multipliers of values above and below zero."""
    identity = np.float32(view.input(0).scale) / np.float32(view.output().scale)
    return identity, identity * _alpha(view)


def _eight_bit(view: NodeView) -> Rule | None:
    """XNNPACK takes multipliers that eight fraction bits and 16 bits in all can hold."""
    identity, leak = _ratios(view)
    fits = _SMALLEST <= identity <= _LARGEST and -_LARGEST < leak <= _LARGEST and abs(leak) >= _SMALLEST
    return Rule("eight_bit_multiplier") if fits else None


class LeakyRelu(ByteFunction):
    """Two multipliers, chosen by the sign of the centered code."""

    name = "leaky_relu"
    sources = {"tflite": "LEAKY_RELU"}
    options = TfliteOptions("LeakyReluOptions", {"alpha": "Alpha"})
    rules = {
        "litert-reference": {
            **dict.fromkeys((*BYTES, "int16"), Rule("double_rounding", "float32")),
            **numbers("float32"),
        },
        "xnnpack": dict.fromkeys(BYTES, _eight_bit),
        "tflite-micro": {**dict.fromkeys(("int8", "int16"), Rule("double_rounding")), **numbers("float32")},
        "onnxruntime": _onnxruntime.RULES,
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        ends = (view.output().zero_point, *limits(view.output().dtype))
        if rule.algorithm == "eight_bit_multiplier":
            eight_bits = [int(np.rint(np.float32(256.0) * ratio)) for ratio in _ratios(view)]
            leaky_relu_eight_bit_multiplier(values[None], *eight_bits, *ends, out[None])
        elif rule.algorithm == "double_rounding":
            width = np.float64 if rule.scale == "float64" else np.float32
            source, output = width(view.input(0).scale), width(view.output().scale)
            identity, leak = multiplier_of(source / output), multiplier_of(source * width(_alpha(view)) / output)
            slopes = np.ones(values.size, np.int64)
            leaky_relu_double_rounding(values[None], slopes, identity, leak, *ends, out[None])
        elif rule == _onnxruntime.FLOAT32:
            reals = real_values(view, values)
            _onnxruntime.nearest_codes(view.output(), np.where(reals >= 0, reals, _alpha(view) * reals), out)
        else:
            raise no_rule(view, rule)

    def real(self, view: NodeView, values: Reals) -> Any:
        return np.where(values > 0, values, values * _alpha(view))


def _alpha(view: NodeView) -> np.float32:
    return np.float32(view.attributes.get("alpha", 0.0))  # type: ignore[arg-type]


OP = LeakyRelu()
