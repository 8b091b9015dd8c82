"""HARD_SWISH: x * relu6(x + 3) / 6."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.hard_swish import hard_swish
from hwsim.ops._base import TfliteOptions, limits, no_rule
from hwsim.ops._byte_function import BYTES, ByteFunction, multiplier_of
from hwsim.ops._float import FLOATS, Reals


class HardSwish(ByteFunction):
    """In 16 bits, from multipliers cut to 16 bits.

    Source: TFLite reference/hard_swish.h; LiteRT tflite/kernels/activations.cc, HardSwishPrepare.
    """

    name = "hard_swish"
    sources = {"tflite": "HARD_SWISH"}
    options = TfliteOptions("HardSwishOptions")
    rules = {
        "litert-reference": dict.fromkeys(BYTES, Rule("sixteen_bits")),
        "tflite-micro": {"int8": Rule("sixteen_bits")},
        "float": FLOATS,
    }

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        if rule.algorithm != "sixteen_bits":
            raise no_rule(view, rule)
        fine = np.float32(view.input(0).scale) * np.float32(1.0 / 128.0)
        output = _cut(multiplier_of(fine / np.float32(view.output().scale)))
        reluish = _cut(multiplier_of(fine / np.float32(np.float32(3.0) / np.float32(32768.0))))
        if output[1] > 0:
            raise UnsupportedError(
                f"{view.label}: input scale {view.input(0).scale!r} is 128 or more times the output's, "
                f"{view.output().scale!r}; no engine runs that"
            )
        hard_swish(values, output, reluish, view.output().zero_point, *limits(view.output().dtype), out)

    def real(self, view: NodeView, values: Reals) -> Any:
        return values * np.clip(values + np.float32(3.0), np.float32(0.0), np.float32(6.0)) / np.float32(6.0)


def _cut(multiplier: tuple[int, int]) -> tuple[int, int]:
    """The multiplier rounded to 16 bits."""
    return min((multiplier[0] + (1 << 15)) >> 16, 32767), multiplier[1]


OP = HardSwish()
