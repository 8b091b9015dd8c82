"""What ADD and SUB share: the parameters of their sums, engine by engine.

Source: TFLite tflite/kernels/add.cc and sub.cc (Prepare); google/XNNPACK src/microparams-init.c (qs8_add_minmax).
"""

from math import frexp

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import UnsupportedError
from hwsim.graph import NodeView
from hwsim.kernels.add import AddParams
from hwsim.ops._base import limits, symmetric_int16
from hwsim.quantizers.multiplier import activation_bounds, quantize_multiplier

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
    kind = np.float32 if precision == "float32" else np.float64
    first, second, output = (kind(t.scale) for t in (view.input(0), view.input(1), view.output()))
    twice_largest = kind(2.0) * max(first, second)
    left_shift = LEFT_SHIFT[view.input(0).dtype]
    last = twice_largest / (kind(2.0**left_shift) * output)
    real = np.array([first / twice_largest, second / twice_largest, last], np.float64)
    multiplier, shift = (array.tolist() for array in quantize_multiplier(real))
    inputs = (multiplier[0], multiplier[1]), (shift[0], shift[1])
    return AddParams(_zero_points(view), *inputs, left_shift, multiplier[2], shift[2], *_limits(view))


def xnnpack_params(view: NodeView, sign: int) -> AddParams:
    """Multipliers of 21 bits. sign : 1 to add the second input, -1 to subtract it."""
    first, second = _ratios(view)
    shift = 20 - (frexp(max(first, second))[1] - 1)
    multipliers = int(np.rint(first * 2.0**shift)), sign * int(np.rint(second * 2.0**shift))
    return AddParams(_zero_points(view), multipliers, (0, 0), 0, 0, shift, *_limits(view))


def _ratios(view: NodeView) -> tuple[float, float]:
    output = np.float32(view.output().scale)
    return float(np.float32(view.input(0).scale) / output), float(np.float32(view.input(1).scale) / output)


def _zero_points(view: NodeView) -> tuple[int, int]:
    return view.input(0).zero_point, view.input(1).zero_point


def _limits(view: NodeView) -> tuple[int, int, int]:
    output, activation = view.output(), view.text("activation", "none")
    bounds = activation_bounds(activation, output.scale, output.zero_point, limits(output.dtype))
    return output.zero_point, *bounds
