"""SUB: the difference of two quantized tensors, each with its own scale, broadcast against each other."""

from math import frexp

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.add import AddParams, add_xnnpack
from hwsim.kernels.sub import sub_tflite
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.ops._elementwise import broadcast_shape, sample_rows
from hwsim.quantizers.multiplier import activation_bounds, quantize_multiplier

LEFT_SHIFT = 20


def _xnnpack(view: NodeView) -> Rule | None:
    """XNNPACK takes a difference when both scale ratios are in [2^-10, 2^8)."""
    ratios = _ratios(view)
    return Rule("xnnpack") if min(ratios) >= 2.0**-10 and max(ratios) < 2.0**8 else None


def _ratios(view: NodeView) -> tuple[float, float]:
    output = np.float32(view.output().scale)
    return float(np.float32(view.input(0).scale) / output), float(np.float32(view.input(1).scale) / output)


class Sub(Op):
    """Subtraction of the second tensor from the first, with a fused activation."""

    name = "sub"
    sources = {"tflite": "SUB"}
    options = TfliteOptions("SubOptions", {"activation": "FusedActivationFunction", "pot_scale_int16": "PotScaleInt16"})
    rules = {
        "litert-reference": {"int8": Rule("tflite"), "uint8": Rule("tflite")},
        "xnnpack": {"int8": _xnnpack, "uint8": _xnnpack},
        "tflite-micro": {"int8": Rule("tflite", "float32")},
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule.algorithm not in ("tflite", "xnnpack"):
            raise no_rule(view, rule)
        shape, size = view.output().shape, int(np.prod(view.output().shape))
        params = _params_xnnpack(view) if rule.algorithm == "xnnpack" else _params_tflite(view, rule.scale)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            out = outputs[0].reshape(outputs[0].shape[0], -1)
            if rule.algorithm == "xnnpack":
                add_xnnpack(first, second, params, 0, size, out)
            else:
                sub_tflite(first, second, params, out)

        return step


def _params_tflite(view: NodeView, precision: str) -> AddParams:
    """TFLM forms the ratios of the scales in float32, LiteRT in float64."""
    kind = np.float32 if precision == "float32" else np.float64
    first, second, output = (kind(t.scale) for t in (view.input(0), view.input(1), view.output()))
    twice_largest = kind(2.0) * max(first, second)
    last = twice_largest / (kind(2.0**LEFT_SHIFT) * output)
    real = np.array([first / twice_largest, second / twice_largest, last], np.float64)
    multiplier, shift = (array.tolist() for array in quantize_multiplier(real))
    inputs = (multiplier[0], multiplier[1]), (shift[0], shift[1])
    return AddParams(_zero_points(view), *inputs, LEFT_SHIFT, multiplier[2], shift[2], *_limits(view))


def _params_xnnpack(view: NodeView) -> AddParams:
    """XNNPACK adds the second input with a negative multiplier."""
    first, second = _ratios(view)
    shift = 20 - (frexp(max(first, second))[1] - 1)
    multipliers = int(np.rint(first * 2.0**shift)), -int(np.rint(second * 2.0**shift))
    return AddParams(_zero_points(view), multipliers, (0, 0), 0, 0, shift, *_limits(view))


def _zero_points(view: NodeView) -> tuple[int, int]:
    return view.input(0).zero_point, view.input(1).zero_point


def _limits(view: NodeView) -> tuple[int, int, int]:
    output, activation = view.output(), view.text("activation", "none")
    bounds = activation_bounds(activation, output.scale, output.zero_point, limits(output.dtype))
    return output.zero_point, *bounds


OP = Sub()
