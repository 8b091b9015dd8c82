"""Sums, products and means of codes under any rounding: what engines do whose elementwise operators are no TFLite's."""

from math import frexp, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.add import AddParams
from hwsim.kernels.dyadic import MODES, add_common_shift
from hwsim.kernels.fused import fused_multiply_add
from hwsim.kernels.mul import MulParams
from hwsim.kernels.onnxruntime import add_onnxruntime, mul_onnxruntime
from hwsim.kernels.requantize import GENERAL_ROUNDINGS, ROUNDINGS, OutputStage, requantize_rows
from hwsim.ops._base import Arrays, Step, limits
from hwsim.ops._elementwise import sample_rows
from hwsim.ops._stated import from_scales_only, output_bounds
from hwsim.quantizers.multiplier import (
    SIGNIFICANT_BITS,
    effective_scale,
    narrowed,
    quantize_multiplier,
)

Array = NDArray[Any]

SUMS = {f"sum_{name}": mode for name, mode in MODES.items()}
"""Additions with one rounding: both inputs over one power of two. The larger multiplier has as many bits as the rule's
scale says, 31 if it says none.
"""

EACH = {"each_float64_half_even": ("float64_half_even", False), "each_saturated_float32": ("float32", True)}
"""Additions that round each input to the output's scale, and whether to 8 bits, before they add them."""

PRODUCTS = (*GENERAL_ROUNDINGS, "zero_point_inside")
"""Products in any rounding, or with the zero point added before it."""

MEANS = {f"centered_{name}": name for name in GENERAL_ROUNDINGS}
"""Means that take the zero points out of the sum, then requantize it."""


def rescaled_stage(rule: Rule, rounding: str, real: float, zero_point: int, low: int, high: int) -> OutputStage:
    """The output stage of one real multiplier, in the rule's precision."""
    scale = narrowed(np.array([np.float32(real) if rule.scale == "float32" else real], np.float64), rule.scale)
    return OutputStage(ROUNDINGS[rounding], *quantize_multiplier(scale), scale, zero_point, low, high)


def rescaled_sum(view: NodeView, rule: Rule) -> Step:
    """ADD under a rule in `SUMS` or `EACH`."""
    return _each(view, rule) if rule.algorithm in EACH else _common(view, rule)


def fused_sum(view: NodeView) -> Step:
    """ADD as ONNX Runtime's QLinearAdd, whose compiler fused the products of the zero points too.

    Where the first input is one value for a whole row of the second, the two change places.
    """
    output, order = view.output(), (0, 1)
    if view.input(0).shape[-1:] == (1,) != view.input(1).shape[-1:]:
        order = (1, 0)
    given = [view.input(i) for i in order]
    ratios = np.array([one.scale for one in given], np.float32) / np.float32(output.scale)
    points = np.array([one.zero_point for one in given], np.float32)
    constant = np.float32(output.zero_point) - fused_multiply_add(points[0], ratios[0], points[1] * ratios[1])
    shape, (low, high) = output.shape, _bounds(view)

    def step(inputs: Arrays, outputs: Arrays) -> None:
        rows = [sample_rows(inputs[i], shape) for i in order]
        add_onnxruntime(*rows, ratios, constant, low, high, outputs[0].reshape(outputs[0].shape[0], -1))

    return step


def rescaled_product(view: NodeView, rule: Rule) -> Step:
    """MUL under a rule in `PRODUCTS`: the product of both differences from the zero points, rescaled."""
    a, b, output, shape = view.input(0), view.input(1), view.output(), view.output().shape
    if rule.algorithm == "zero_point_inside":
        return _product_with_zero_point(view)
    real = a.scale * b.scale / output.scale
    if rule.scale == "float32_reciprocal":
        real = float(effective_scale(a.scale, b.affine.scale, output.scale, rule.scale)[0])
    stage = rescaled_stage(rule, rule.algorithm, real, output.zero_point, *_bounds(view))

    def step(inputs: Arrays, outputs: Arrays) -> None:
        first, second = _centered(sample_rows(inputs[0], shape), a), _centered(sample_rows(inputs[1], shape), b)
        requantize_rows((first * second).reshape(-1, 1), stage, outputs[0].reshape(-1, 1))

    return step


def _product_with_zero_point(view: NodeView) -> Step:
    """MUL as ONNX Runtime's QLinearMul."""
    a, b, output, shape = view.input(0), view.input(1), view.output(), view.output().shape
    scale = float(np.float32(a.scale) * np.float32(b.scale) / np.float32(output.scale))
    params = MulParams((a.zero_point, b.zero_point), 0, 0, scale, output.zero_point, *_bounds(view))

    def step(inputs: Arrays, outputs: Arrays) -> None:
        first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
        mul_onnxruntime(first, second, params, outputs[0].reshape(outputs[0].shape[0], -1))

    return step


def rescaled_mean(view: NodeView, rule: Rule, axes: tuple[int, ...]) -> Step:
    """MEAN over `axes` under a rule in `MEANS`."""
    source, output = view.input(0), view.output()
    over, count = tuple(axis + 1 for axis in axes), prod(source.shape[axis] for axis in axes)
    real = source.scale / (output.scale * count)
    stage = rescaled_stage(rule, MEANS[rule.algorithm], real, output.zero_point, *limits(output.dtype))

    def step(inputs: Arrays, outputs: Arrays) -> None:
        sums = inputs[0].astype(np.int64).sum(axis=over) - source.zero_point * count
        requantize_rows(sums.astype(np.int32).reshape(-1, 1), stage, outputs[0].reshape(-1, 1))

    return step


def _common(view: NodeView, rule: Rule) -> Step:
    shape, params, mode = view.output().shape, common_params(view, rule), SUMS[rule.algorithm]

    def step(inputs: Arrays, outputs: Arrays) -> None:
        first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
        add_common_shift(first, second, params, mode, outputs[0].reshape(outputs[0].shape[0], -1))

    return step


def common_params(view: NodeView, rule: Rule) -> AddParams:
    """Both ratios to the output's scale over one power of two, rounded to integers."""
    kind = np.float32 if rule.scale in ("float32", "22_bits") else np.float64
    output = view.output()
    ratios = np.array([float(kind(view.input(i).scale) / kind(output.scale)) for i in range(2)])
    bits = 22 if rule.scale == "22_bits" else SIGNIFICANT_BITS.get(rule.scale, 31)
    if rule.scale == "power_of_two":
        ratios = narrowed(ratios, rule.scale)
    shift = min(bits - frexp(ratios.max())[1], 62)
    multipliers = [int(np.rint(ratio * 2.0**shift)) for ratio in ratios]
    low, high = _bounds(view)
    zero_points = view.input(0).zero_point, view.input(1).zero_point
    first, second = multipliers
    return AddParams(zero_points, (first, second), (0, 0), 0, 0, shift, output.zero_point, low, high)


def _each(view: NodeView, rule: Rule) -> Step:
    rounding, saturated = EACH[rule.algorithm]
    output, shape, (low, high) = view.output(), view.output().shape, _bounds(view)
    ends = (-128, 127) if saturated else (-(2**31), 2**31 - 1)
    sources = view.input(0), view.input(1)
    stages = [rescaled_stage(rule, rounding, source.scale / output.scale, 0, *ends) for source in sources]

    def step(inputs: Arrays, outputs: Arrays) -> None:
        total = np.full(outputs[0].size, output.zero_point, np.int64)
        for values, source, stage in zip(inputs, sources, stages, strict=True):
            scaled = np.empty((total.size, 1), np.int64)
            requantize_rows(_centered(sample_rows(values, shape), source).reshape(-1, 1), stage, scaled)
            total += scaled[:, 0]
        outputs[0][...] = np.clip(total, low, high).reshape(outputs[0].shape)

    return step


def _centered(rows: Array, tensor: Any) -> Array:
    return rows.astype(np.int32) - np.int32(tensor.zero_point)


def _bounds(view: NodeView) -> tuple[int, int]:
    from_scales_only(view)
    return output_bounds(view)
