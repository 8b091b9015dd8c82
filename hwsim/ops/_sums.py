"""What ADD and SUB share: the parameters of their sums, engine by engine.

Source: TFLite tflite/kernels/add.cc and sub.cc (Prepare); google/XNNPACK src/microparams-init.c (qs8_add_minmax).
"""

from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import GraphError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.add import AddParams
from hwsim.ops._base import symmetric_int16
from hwsim.ops._stated import from_scales_only, output_bounds, stated_real
from hwsim.quantizers.multiplier import quantize_multiplier

STATED_SUM = (
    "input_multiplier", "input_shift", "left_shift", "output_multiplier", "output_shift", "output_minimum",
    "output_maximum",
)  # fmt: skip
LEFT_SHIFT = {"int8": 20, "uint8": 20, "int16": 15}


def xnnpack_rule(view: NodeView) -> Rule | None:
    """XNNPACK takes a sum when both scale ratios are in [2^-10, 2^8)."""
    ratios = _ratios(view)
    return Rule("xnnpack") if min(ratios) >= 2.0**-10 and max(ratios) < 2.0**8 else None


def check_general(view: NodeView) -> None:
    """UnsupportedError where an int16 sum has zero points, or asks for scales that are powers of two."""
    symmetric_int16(view, [view.input(0), view.input(1), view.output()])
    if view.input(0).dtype == "int16" and view.attributes.get("pot_scale_int16"):
        raise UnsupportedError(f"{view.label}: pot_scale_int16 is set; hwsim runs int16 with general scales only")


def tflite_params(view: NodeView, precision: str = "float64") -> AddParams:
    """Both inputs raised by 20 bits, int16 by 15, to a common scale.

    precision : of the scales' ratios, 'float64' or 'float32'
    """
    left_shift = view.integer("left_shift", LEFT_SHIFT[view.input(0).dtype])
    if left_shift not in range(LEFT_SHIFT["int8"] + 1):
        raise GraphError(f"{view.label}: left_shift is {left_shift}; expected 0 to {LEFT_SHIFT['int8']}")
    stated = stated_real(view, "input", 2), stated_real(view, "output", 1)
    if stated[0] is not None and stated[1] is not None:
        real = np.concatenate([stated[0], stated[1]])
    else:
        from_scales_only(view)
        real = _common_scale(view, left_shift, np.float32 if precision == "float32" else np.float64)
    multiplier, shift = (array.tolist() for array in quantize_multiplier(real))
    inputs = (multiplier[0], multiplier[1]), (shift[0], shift[1])
    return AddParams(_zero_points(view), *inputs, left_shift, multiplier[2], shift[2], *_limits(view))


def _common_scale(view: NodeView, left_shift: int, kind: type[np.floating[Any]]) -> NDArray[np.float64]:
    """The real multipliers of both inputs to twice the larger scale, and from there to the output's."""
    first, second, output = (kind(t.scale) for t in (view.input(0), view.input(1), view.output()))
    twice_largest = kind(2.0) * max(first, second)
    last = twice_largest / (kind(2.0**left_shift) * output)
    return np.array([first / twice_largest, second / twice_largest, last], np.float64)


def xnnpack_params(view: NodeView, sign: int) -> AddParams:
    """Multipliers of 21 bits. sign : 1 to add the second input, -1 to subtract it."""
    first, second = _ratios(view)
    shift = 20 - (frexp(max(first, second))[1] - 1)
    multipliers = int(np.rint(first * 2.0**shift)), sign * int(np.rint(second * 2.0**shift))
    return AddParams(_zero_points(view), multipliers, (0, 0), 0, 0, shift, *_limits(view))


def _ratios(view: NodeView) -> tuple[float, float]:
    from_scales_only(view)
    output = np.float32(view.output().scale)
    return float(np.float32(view.input(0).scale) / output), float(np.float32(view.input(1).scale) / output)


def _zero_points(view: NodeView) -> tuple[int, int]:
    return view.input(0).zero_point, view.input(1).zero_point


def _limits(view: NodeView) -> tuple[int, int, int]:
    return view.output().zero_point, *output_bounds(view)
