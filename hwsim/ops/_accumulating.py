"""What convolutions and fully connected layers share: weights, bias, the output stage after the accumulator.

Bytes are summed in int32, int16 activations in int32 or int64: for TFLM as the bias is, for LiteRT, and without a bias,
as the option `quantized_bias_type` says.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.engines._profile import BYTES
from hwsim.errors import GraphError, UnsupportedError
from hwsim.graph import Affine, Grouped, Levels, NodeView
from hwsim.kernels.requantize import GENERAL_ROUNDINGS, REAL_BIASES, ROUNDINGS, VECTOR_ROUNDINGS, OutputStage
from hwsim.ops._base import Op, RuleChoice, RuleFor, limits, symmetric_int16
from hwsim.ops._stated import output_bounds, stated_real
from hwsim.ops._thresholds import thresholds_stage
from hwsim.quantizers.multiplier import SCALE_PRECISIONS, effective_scale, narrowed, quantize_multiplier

LARGEST_SHIFT = 30
LARGEST_SHIFT_INT64 = 14
LARGEST_LEVEL = 255
"""Of integer levels behind a table: the kernels' weights hold what uint8 less a zero point can give."""

ACCUMULATOR = Rule("accumulator")
THRESHOLDS = Rule("thresholds")
"""Of a layer whose output is behind a table, whatever the engine."""

INT32_ROUNDINGS = tuple(name for name in ROUNDINGS if name not in ("accumulator", "reduced_int64"))
SUMS_INT64 = "int64"
REDUCED_INT64 = Rule("reduced_int64", accumulator=SUMS_INT64)
BIAS_TYPE = "quantized_bias_type"
INT4_BITS = 4
FBGEMM, ONEDNN = Rule("float32_bias", "float32"), Rule("float32_in_turn", "float32_reciprocal")
LARGEST_ONEDNN_GROUPS = 100


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


def torch_x86(view: NodeView) -> Rule:
    """PyTorch's engine x86, with VNNI: oneDNN's convolutions up to 100 groups, else FBGEMM.

    Source: pytorch/pytorch aten/src/ATen/native/quantized/cpu/OnednnUtils.h, should_use_onednn_quant.
    """
    op, source, weights = view.node.op, view.input(0), view.input(1)
    groups = source.shape[3] // (1 if op == "depthwise_conv2d" else weights.shape[3]) if op != "fully_connected" else 0
    return ONEDNN if 1 <= groups <= LARGEST_ONEDNN_GROUPS else fbgemm(view)


def or_sums(rule: Rule | Callable[[NodeView], Rule]) -> RuleChoice:
    """`rule`, or what it gives; with an int32 output the sums themselves, which real values are made of."""

    def choose(view: NodeView) -> Rule:
        if view.output().dtype == "int32":
            return ACCUMULATOR
        return rule(view) if callable(rule) else rule

    return choose


def fbgemm(view: NodeView) -> Rule:
    """FBGEMM's kernel for depthwise convolutions adds pairs of products in int16, whatever the processor.

    It takes square filters of 3, 5 or 7 with half as much padding, strides up to 2, channels in eights, and at most two
    filters for each. Source: pytorch/FBGEMM src/FbgemmConv.cc, takeDepthWiseFastPath; measured on torch 2.13.0.
    """
    if view.node.op != "depthwise_conv2d" or view.input(0).dtype != "uint8":
        return FBGEMM
    (_, height, width, outputs), channels = view.input(1).shape, view.input(0).shape[3]
    strides, dilations = ({view.integer(f"{what}_{axis}", 1) for axis in "hw"} for what in ("stride", "dilation"))
    fast = height == width in (3, 5, 7) and channels % 8 == 0 and outputs <= 2 * channels and max(strides) <= 2
    fast = fast and dilations == {1} and _borders(view) == [(height // 2, height // 2)] * 2
    return replace(FBGEMM, accumulator="int16_pairs") if fast else FBGEMM


def _borders(view: NodeView) -> list[tuple[int, int]]:
    """Padding before and after, of height and width; by a node of its own, or the layer's."""
    makers = [node for node in view.graph.nodes if view.node.inputs[0] in node.outputs]
    if view.text("padding") == "valid":
        data = view.graph.tensors[makers[0].inputs[1]].data if makers and makers[0].op == "pad" else None
        return [] if data is None else [(int(before), int(after)) for before, after in data[1:3]]
    found = []
    for size, taps, axis in zip(view.input(0).shape[1:3], view.input(1).shape[1:3], "hw", strict=True):
        stride = view.integer(f"stride_{axis}")
        total = max((-(-size // stride) - 1) * stride + taps - size, 0)
        found.append((total // 2, total - total // 2))
    return found


def layers_of_others() -> dict[str, dict[str, RuleFor]]:
    """A layer's rules under ONNX Runtime and PyTorch's engines; "-pairs" are what x86 without VNNI does otherwise."""
    return {
        "onnxruntime": dict.fromkeys(BYTES, onnxruntime),
        "fbgemm": dict.fromkeys(BYTES, or_sums(fbgemm)),
        "onednn": dict.fromkeys(BYTES, or_sums(ONEDNN)),
        "onednn-pt2e": dict.fromkeys(BYTES, or_sums(Rule("float32_in_turn", "float32"))),
        "torch-x86": dict.fromkeys(BYTES, or_sums(torch_x86)),
        "qnnpack": dict.fromkeys(BYTES, or_sums(Rule("float32", "float32_reciprocal"))),
        "onnxruntime-pairs": {"uint8": in_pairs},
        "fbgemm-pairs": dict.fromkeys(BYTES, replace(FBGEMM, accumulator="int16_pairs")),
    }


class Accumulating(Op):
    """An operator that sums products into int32, then requantizes per output channel."""

    stated = ("output_multiplier", "output_shift", "output_minimum", "output_maximum")

    accumulators: ClassVar[tuple[str, ...]] = ()
    """Ways to sum other than exactly that `bind` knows."""

    def signature(self, view: NodeView) -> str:
        """The activations' dtype; with that of the output where bytes become 16-bit codes."""
        source, output = view.input(places(view)[0]).dtype, view.output().dtype
        return f"{source}>{output}" if output == "int16" and source != output else source

    def known_rules(self, view: NodeView) -> list[Rule]:
        """The engines' rules, and every other rounding and scale precision."""
        own = super().known_rules(view)
        modes = ("exact", *self.accumulators) if view.output().dtype != "int16" else ("exact", SUMS_INT64)
        roundings = {mode: (*GENERAL_ROUNDINGS, *(["reduced_int64"] if mode == SUMS_INT64 else [])) for mode in modes}
        others = [Rule(name, scale, mode) for mode in modes for name in roundings[mode] for scale in SCALE_PRECISIONS]
        return list(dict.fromkeys([*own, *others]))


def places(view: NodeView) -> tuple[int, int]:
    """Which inputs are the activations and the bias: TRANSPOSE_CONV has its output's shape first."""
    return (2, 3) if view.node.op == "transpose_conv" else (0, 2)


def has_int4_weights(view: NodeView) -> bool:
    """Whether the weights have 4 bits, two of them in a byte of a `.tflite` file."""
    form = view.input(1).format
    return isinstance(form, Affine) and form.bits == INT4_BITS and view.input(1).dtype == "int8"


def litert_int16(int32: Rule | None, int64: Rule | None = REDUCED_INT64) -> RuleChoice:
    """LiteRT's rules of an int16 layer whose sums are int32 or int64; None leaves it to the next rule set."""

    def choose(view: NodeView) -> Rule | None:
        narrow = view.attributes.get(BIAS_TYPE) == "int32"
        found = view.optional(places(view)[1])
        if found is not None and found.dtype != ("int32" if narrow else "int64"):
            raise UnsupportedError(
                f"{view.label}: bias is {found.dtype}, {BIAS_TYPE} {view.attributes.get(BIAS_TYPE)!r}; "
                f"LiteRT reads the bias as {'int32' if narrow else 'int64'}: make them agree"
            )
        return int32 if narrow else int64

    return choose


def micro_int16(int32: Rule) -> RuleChoice:
    """TFLM's rules of an int16 layer: `int32` where the bias, or without one the option, is int32."""

    def choose(view: NodeView) -> Rule:
        if has_int4_weights(view):
            raise UnsupportedError(f"{view.label}: TensorFlow Lite Micro has no int4 weights under int16 activations")
        found = view.optional(places(view)[1])
        kind = found.dtype if found is not None else view.attributes.get(BIAS_TYPE)
        return int32 if kind == "int32" else REDUCED_INT64

    return choose


def int8_weights(rule: Rule) -> RuleChoice:
    """`rule`, but None where the weights are stored in 4 bits: XNNPACK leaves those to LiteRT."""
    return lambda view: None if has_int4_weights(view) else rule


def output_stage(view: NodeView, rule: Rule, channels: int) -> OutputStage:
    """The output stage of `view` under `rule`; with the algorithm of `ACCUMULATOR` the sums themselves.

    Of an algorithm that ends in '_vectors' it is the stage of whole vectors.
    """
    if rule == THRESHOLDS:
        return thresholds_stage(view, channels)
    if rule.algorithm == ACCUMULATOR.algorithm:
        nothing = np.zeros(channels, np.int64)
        ends = limits("int64" if rule.accumulator == SUMS_INT64 else "int32")
        return OutputStage(ROUNDINGS["accumulator"], nothing, nothing, nothing.astype(np.float64), 0, *ends)
    rounding = rule.algorithm.removesuffix("_vectors")
    if rounding not in ROUNDINGS:
        raise UnsupportedError(f"{view.label}: has no rounding {rule.algorithm!r}")
    output = view.output()
    scale = real_multiplier(view, rule, channels)
    multiplier, shift = quantize_multiplier(scale)
    largest = LARGEST_SHIFT_INT64 if rule.algorithm == REDUCED_INT64.algorithm else LARGEST_SHIFT
    if shift.max(initial=0) > largest:
        worst = int(shift.argmax())
        raise UnsupportedError(
            f"{view.label}: shift[{worst}] is {shift[worst]}; must be in [-31, {largest}]: "
            f"the output scale {output.scale!r} is too small for its inputs"
        )
    stage = OutputStage(ROUNDINGS[rounding], multiplier, shift, scale, output.zero_point, *output_bounds(view))
    if rule.algorithm == FBGEMM.algorithm:
        return stage._replace(bias=_bias_in_sums(view, channels))
    return _in_turn(view, rule, stage, channels) if rule.algorithm == ONEDNN.algorithm else stage


def _in_turn(view: NodeView, rule: Rule, stage: OutputStage, channels: int) -> OutputStage:
    """oneDNN's scales one by one; PyTorch's engine hands over reciprocals, of weights' scales in linear layers only."""
    weights, source = view.input(1).affine.scale.astype(np.float64), np.float64(view.input(0).scale)
    if rule == ONEDNN:
        source = _twice_reciprocal(source)
        weights = _twice_reciprocal(weights) if view.node.op == "fully_connected" else weights
    scale = np.ascontiguousarray(np.broadcast_to(weights, channels))
    bias = _real_bias(view, channels).astype(np.float64)
    inverse = float(np.float32(1.0) / np.float32(view.output().scale))
    return stage._replace(scale=scale, bias=bias, source_scale=float(source), inverse_scale=inverse)


def _twice_reciprocal(scale: Any) -> Any:
    """What is left of float32 scales after their reciprocals were rounded to float32, twice."""
    return (np.float32(1.0) / (1.0 / scale).astype(np.float32)).astype(np.float64)


def real_multiplier(view: NodeView, rule: Rule, channels: int) -> NDArray[np.float64]:
    """input scale * weight scale / output scale for every output channel, in the rule's precision; or what the node
    states, which only float32 and narrow multipliers round.
    """
    stated = stated_real(view, "output", channels)
    if stated is not None:
        return narrowed(stated.astype(np.float32).astype(np.float64) if rule.scale == "float32" else stated, rule.scale)
    weights = view.input(1)
    if weights.format is None:
        raise GraphError(f"{view.label}: weights {weights.name!r} have no scale; a quantized layer needs one")
    scales = weights.format.scale
    if scales.size not in (1, channels):
        raise GraphError(f"{view.label}: weights have {scales.size} scales; expected 1 or {channels}")
    with np.errstate(over="ignore"):
        scale = effective_scale(view.input(places(view)[0]).scale, scales, view.output().scale, rule.scale)
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
    if isinstance(format_, Grouped):
        return _multiplied(view, format_)
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


def _multiplied(view: NodeView, form: Grouped) -> NDArray[np.int16]:
    """Codes times the multipliers of their runs: the same sum as if each run's were multiplied."""
    weights: NDArray[np.int16] = view.constant(1).astype(np.int16) * form.spread(view.input(1).shape)
    if np.abs(weights).max(initial=0) > LARGEST_LEVEL:
        raise UnsupportedError(
            f"{view.label}: weights {view.input(1).name!r} times their multipliers reach {np.abs(weights).max()}; the "
            f"kernels take up to {LARGEST_LEVEL}: choose fewer bits of codes or of multipliers"
        )
    return weights


def _real_bias(view: NodeView, channels: int) -> NDArray[np.float32]:
    """The bias as real values, zeros where there is none."""
    bias = view.optional(2)
    if bias is None:
        return np.zeros(channels, np.float32)
    data = view.constant(2).reshape(-1)
    if data.dtype == np.float32:
        return data
    form = bias.format
    scale = _units(view) if form is None else form.scale
    return np.asarray((_checked(view, data, np.int32, channels) * scale.astype(np.float64)).astype(np.float32))


def _units(view: NodeView) -> NDArray[np.float32]:
    """The real value of 1 in the sums: float32 products of the input's and the weights' scales."""
    weights = view.input(1).format
    assert weights is not None
    return np.asarray(np.float32(view.input(places(view)[0]).scale) * weights.scale.astype(np.float32))


def _bias_in_sums(view: NodeView, channels: int) -> NDArray[np.float64]:
    """The bias in units of the sums as FBGEMM forms it: per channel a float32 quotient, per tensor the exact product
    with a float32 reciprocal.
    """
    units, real = _units(view), _real_bias(view, channels)
    if units.size == 1:
        return np.asarray(real.astype(np.float64) * (np.float32(1.0) / units).astype(np.float64))
    return np.asarray((real / units).astype(np.float64))


def bias_or_zeros(view: NodeView, channels: int, rule: Rule) -> NDArray[Any]:
    """The constant bias in the dtype of the sums, zeros where there is none, or where `rule` adds it later.

    A float32 bias is rounded to units of the sums, ties to even, as PyTorch's QNNPACK does it.
    """
    dtype = np.dtype(np.int64 if rule.accumulator == SUMS_INT64 else np.int32)
    position = places(view)[1]
    if view.optional(position) is None or rule.algorithm in REAL_BIASES:
        return np.zeros(channels, dtype)
    bias = view.constant(position).reshape(-1)
    if bias.dtype == np.float32:
        bias = np.rint(bias * (np.float32(1.0) / _units(view))).astype(np.int32)
    return np.ascontiguousarray(_checked(view, bias, dtype, channels).astype(dtype, copy=False))


def _checked(view: NodeView, bias: NDArray[Any], dtype: Any, channels: int) -> NDArray[Any]:
    """An integer bias, in int32 or `dtype`; GraphError where it is another or of another size."""
    if bias.dtype not in (np.int32, dtype) or bias.size != channels:
        raise GraphError(f"{view.label}: bias is {bias.dtype} of {bias.size}; expected {np.dtype(dtype)} of {channels}")
    return bias


def vectorizable(rule: Rule) -> bool:
    """Whether the vector kernels have this rule: its rounding, and exact sums in int32."""
    return rule.accumulator == "exact" and ROUNDINGS.get(rule.algorithm, 0) in VECTOR_ROUNDINGS


def check_symmetric(view: NodeView) -> None:
    """UnsupportedError where an int16 layer has zero points; no engine runs that."""
    symmetric_int16(view, [view.input(places(view)[0]), view.output()])


def raised(view: NodeView) -> int:
    """What a machine that multiplies uint8 by int8 adds to this node's input codes."""
    return 128 if view.input(places(view)[0]).dtype == "int8" else 0
