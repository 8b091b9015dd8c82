"""What convolutions and fully connected layers share: weights, bias, the output stage after an int32 accumulator."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.engines._profile import BYTES
from hwsim.errors import GraphError, UnsupportedError
from hwsim.graph import Levels, NodeView
from hwsim.kernels.requantize import GENERAL_ROUNDINGS, ROUNDINGS, VECTOR_ROUNDINGS, OutputStage
from hwsim.ops._base import Op, RuleFor, code_limits
from hwsim.quantizers.multiplier import SCALE_PRECISIONS, activation_bounds, effective_scale, quantize_multiplier

LARGEST_SHIFT = 30
LARGEST_LEVEL = 255
"""Of integer levels behind a table: the kernels' weights hold what uint8 less a zero point can give."""

ACCUMULATOR = Rule("accumulator")


def onnxruntime(view: NodeView) -> Rule:
    """ONNX Runtime: float32 scales; with an int32 output, MatMulInteger and ConvInteger, the sums themselves."""
    return ACCUMULATOR if view.output().dtype == "int32" else Rule("float32", "float32")


def in_pairs(view: NodeView) -> Rule | None:
    """ONNX Runtime on x86 without VNNI: uint8 times int8 adds pairs in int16; other kinds are exact.

    ConvInteger is exact too, and so is the kernel for depthwise convolutions, which takes one filter per channel.
    """
    op, (source, weights) = view.node.op, (view.input(0), view.input(1))
    pairs = source.dtype == "uint8" and weights.dtype == "int8"
    if op == "depthwise_conv2d":
        pairs = pairs and not weights.shape[3] == source.shape[3] > 1
    exact = op != "fully_connected" and view.output().dtype == "int32"
    return replace(onnxruntime(view), accumulator="int16_pairs") if pairs and not exact else None


def layers_of_others() -> dict[str, dict[str, RuleFor]]:
    """A layer's rules under ONNX Runtime, FBGEMM and QNNPACK; "-pairs" are what x86 without VNNI does otherwise."""
    fbgemm, qnnpack = Rule("float32_bias", "float32"), Rule("float32", "float32")
    return {
        "onnxruntime": dict.fromkeys(BYTES, onnxruntime),
        "fbgemm": dict.fromkeys(BYTES, fbgemm),
        "qnnpack": dict.fromkeys(BYTES, qnnpack),
        "onnxruntime-pairs": {"uint8": in_pairs},
        "fbgemm-pairs": dict.fromkeys(BYTES, replace(fbgemm, accumulator="int16_pairs")),
    }


class Accumulating(Op):
    """An operator that sums products into int32, then requantizes per output channel."""

    accumulators: ClassVar[tuple[str, ...]] = ()
    """Ways to sum other than exactly that `bind` knows."""

    def known_rules(self, view: NodeView) -> list[Rule]:
        """The engines' rules, and every other rounding and scale precision."""
        own = super().known_rules(view)
        modes = ("exact", *self.accumulators)
        others = [
            Rule(rounding, scale, mode)
            for mode in modes
            for rounding in GENERAL_ROUNDINGS
            for scale in SCALE_PRECISIONS
        ]
        return list(dict.fromkeys([*own, *others]))


def output_stage(view: NodeView, rule: Rule, channels: int) -> OutputStage:
    """The output stage of `view` under `rule`; with `ACCUMULATOR` the sums themselves."""
    if rule.algorithm == ACCUMULATOR.algorithm:
        nothing = np.zeros(channels, np.int64)
        return OutputStage(
            ROUNDINGS["accumulator"], nothing, nothing, nothing.astype(np.float64), 0, -(2**31), 2**31 - 1
        )
    if rule.algorithm not in ROUNDINGS:
        raise UnsupportedError(f"{view.label}: has no rounding {rule.algorithm!r}")
    output = view.output()
    scale = real_multiplier(view, rule, channels)
    multiplier, shift = quantize_multiplier(scale)
    if shift.max(initial=0) > LARGEST_SHIFT:
        worst = int(shift.argmax())
        raise UnsupportedError(
            f"{view.label}: shift[{worst}] is {shift[worst]}; must be in [-31, {LARGEST_SHIFT}]: "
            f"the output scale {output.scale!r} is too small for its inputs"
        )
    low, high = activation_bounds(view.text("activation", "none"), output.scale, output.zero_point, code_limits(output))
    stage = OutputStage(ROUNDINGS[rule.algorithm], multiplier, shift, scale, output.zero_point, low, high)
    return stage._replace(bias=_float_bias(view, channels)) if rule.algorithm == "float32_bias" else stage


def known_to_vectors(rule: Rule) -> bool:
    """Whether the vector kernels have this rule's rounding; other algorithms of their own do not matter here."""
    return ROUNDINGS.get(rule.algorithm, 0) in VECTOR_ROUNDINGS


def real_multiplier(view: NodeView, rule: Rule, channels: int) -> NDArray[np.float64]:
    """input scale * weight scale / output scale for every output channel, in the rule's precision."""
    weights = view.input(1)
    if weights.format is None:
        raise GraphError(f"{view.label}: weights {weights.name!r} have no scale; a quantized layer needs one")
    scales = weights.format.scale
    if scales.size not in (1, channels):
        raise GraphError(f"{view.label}: weights have {scales.size} scales; expected 1 or {channels}")
    with np.errstate(over="ignore"):
        scale = effective_scale(view.input(0).scale, scales, view.output().scale, rule.scale)
    if not np.isfinite(scale).all():
        raise UnsupportedError(f"{view.label}: input scale times weight scale over output scale is beyond {rule.scale}")
    return np.ascontiguousarray(np.broadcast_to(scale, channels))


def centered_weights(view: NodeView) -> NDArray[np.int16]:
    """The constant weights as int16 with their zero point removed."""
    data, format_ = view.constant(1), view.input(1).format
    if isinstance(format_, Levels):
        return _decoded(view, format_)
    if data.dtype not in (np.int8, np.uint8):
        raise UnsupportedError(f"{view.label}: weights are {data.dtype}; expected int8 or uint8")
    if format_ is None:
        raise GraphError(f"{view.label}: weights {view.input(1).name!r} have no scale; a quantized layer needs one")
    zero_point = view.input(1).affine.zero_point
    if zero_point.size > 1 and zero_point.any():
        raise UnsupportedError(f"{view.label}: per-channel weights have zero points; expected 0")
    return data.astype(np.int16) - np.int16(zero_point[0])


def _decoded(view: NodeView, form: Levels) -> NDArray[np.int16]:
    """The levels behind the constant weights' codes: a table in front of a multiplier gives the same products."""
    tensor = view.input(1)
    if form.table.dtype != np.int32 or np.abs(form.table).max(initial=0) > LARGEST_LEVEL:
        raise UnsupportedError(
            f"{view.label}: weights {tensor.name!r} have levels {form}; an integer engine takes whole levels up to "
            f"{LARGEST_LEVEL}: re-quantize them to an outer bit-width"
        )
    codes = view.constant(1)
    if form.axis is None:
        shared: NDArray[np.int16] = form.table[0].astype(np.int16)[codes]
        return shared
    along = np.arange(len(form.table)).reshape([-1 if axis == form.axis else 1 for axis in range(codes.ndim)])
    decoded: NDArray[np.int16] = form.table.astype(np.int16)[along, codes]
    return decoded


def _float_bias(view: NodeView, channels: int) -> NDArray[np.float32]:
    """The real bias in units of the sums, as FBGEMM forms it: per tensor by a product with the reciprocal."""
    codes = bias_or_zeros(view, channels)
    weights = view.input(1).format
    assert weights is not None
    units = np.float32(view.input(0).scale) * weights.scale.astype(np.float32)
    bias = view.optional(2)
    real = codes * (units if bias is None or bias.format is None else bias.format.scale).astype(np.float64)
    if units.size == 1:
        return np.asarray(real.astype(np.float32) * (np.float32(1.0) / units))
    return np.asarray(real.astype(np.float32) / units)


def bias_or_zeros(view: NodeView, channels: int, rule: Rule | None = None) -> NDArray[np.int32]:
    """The constant bias, zeros where there is none, or where `rule` adds it later."""
    if view.optional(2) is None or (rule is not None and rule.algorithm == "float32_bias"):
        return np.zeros(channels, np.int32)
    bias = view.constant(2)
    if bias.dtype != np.int32 or bias.size != channels:
        raise GraphError(f"{view.label}: bias is {bias.dtype} of {bias.size}; expected int32 of {channels}")
    return np.ascontiguousarray(bias.reshape(-1))


def raised(view: NodeView) -> int:
    """What a machine that multiplies uint8 by int8 adds to this node's input codes."""
    return 128 if view.input(0).dtype == "int8" else 0
