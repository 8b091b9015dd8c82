"""MEAN over constant axes."""

from math import floor, log2, prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.kernels.mean import mean_double_rounding, mean_float32, mean_raw_vectors, sum_middle
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.ops._float import FLOAT, FLOATS, pointwise
from hwsim.ops._rescaled import MEANS, rescaled_mean
from hwsim.quantizers.multiplier import quantize_multiplier


def _over_image(view: NodeView) -> bool:
    return len(view.input(0).shape) == 4 and _axes(view) == (1, 2)


def _optimized(view: NodeView) -> Rule | None:
    """LiteRT has an optimized mean over height and width with the dimensions kept."""
    return Rule("raw_vectors") if _over_image(view) and view.attributes.get("keep_dims") else None


class Mean(Op):
    """Mean over axes, requantized to the output's scale."""

    name = "mean"
    sources = {"tflite": "MEAN"}
    options = TfliteOptions("ReducerOptions", {"keep_dims": "KeepDims"})
    rules = {
        "litert-reference": {"int8": Rule("double_rounding"), "uint8": Rule("double_rounding")},
        "litert-optimized": {"int8": _optimized, "uint8": _optimized},
        "xnnpack": {"int8": Rule("float32"), "uint8": Rule("float32")},
        "tflite-micro": {"int8": Rule("double_rounding")},
        "float": FLOATS,
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axes = view.input(0).shape, _axes(view)
        if view.attributes.get("keep_dims"):
            return (tuple(1 if i in axes else size for i, size in enumerate(shape)),)
        return (tuple(size for i, size in enumerate(shape) if i not in axes),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        shape, axes = view.input(0).shape, _axes(view)
        if rule.algorithm in MEANS:
            return rescaled_mean(view, rule, axes)
        if rule == FLOAT:
            keep, over = bool(view.attributes.get("keep_dims")), tuple(axis + 1 for axis in axes)
            return pointwise(lambda values: values.mean(axis=over, keepdims=keep))
        kept = [i for i in range(len(shape)) if i not in axes]
        order = (0, *(i + 1 for i in axes), *(i + 1 for i in kept))
        count, inner = prod(shape[i] for i in axes), prod(shape[i] for i in kept)
        finish = _finish(view, rule, count)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            samples = inputs[0].shape[0]
            values = np.ascontiguousarray(inputs[0].transpose(order)).reshape(samples, count, inner)
            sums = np.empty((samples, inner), np.int64)
            sum_middle(values, sums)
            finish(sums, outputs[0].reshape(samples, inner))

        return step


def _axes(view: NodeView) -> Shape:
    dimensions = len(view.input(0).shape)
    axes = [int(axis) for axis in np.atleast_1d(view.constant(1))]
    if any(not -dimensions <= axis < dimensions for axis in axes):
        raise ShapeError(f"{view.label}: axes are {axes}; each must be in [{-dimensions}, {dimensions - 1}]")
    return tuple(sorted({axis % dimensions for axis in axes}))


def _finish(view: NodeView, rule: Rule, count: int):  # type: ignore[no-untyped-def]
    """What turns (samples, kept) sums of raw codes into output codes."""
    source, output = view.input(0), view.output()
    ends = limits(output.dtype)
    if rule.algorithm == "double_rounding":
        multiplier, shift = _folded_multiplier(source.scale / output.scale, count)
        offset = source.zero_point * count
        return lambda sums, out: mean_double_rounding(sums, offset, multiplier, shift, output.zero_point, *ends, out)
    if rule.algorithm == "raw_vectors":
        moved = np.float32(source.zero_point) * np.float32(source.scale) / np.float32(output.scale)
        bias = output.zero_point - int(moved + np.float32(0.5) if moved > 0 else moved - np.float32(0.5))
        scaled = np.float32(source.scale) / (np.float32(count) * np.float32(output.scale))
        multipliers, shifts = quantize_multiplier(float(scaled))
        return lambda sums, out: mean_raw_vectors(sums, int(multipliers[0]), int(shifts[0]), bias, *ends, out)
    if rule.algorithm == "float32":
        ratio = np.float32(source.scale) / np.float32(output.scale)
        factor = ratio * (np.float32(1.0) / np.float32(count))
        moved = np.float32(output.zero_point) - np.float32(source.zero_point * count) * factor
        return lambda sums, out: mean_float32(sums, float(factor), float(moved), *ends, out)
    raise no_rule(view, rule)


def _folded_multiplier(real: float, count: int) -> tuple[int, int]:
    """The multiplier of si / so with the division by `count` folded in, as TFLite's reference does."""
    multipliers, shifts = quantize_multiplier(real)
    multiplier, shift = int(multipliers[0]), int(shifts[0])
    room = min(floor(log2(count)) if count > 0 else 0, 32, 31 + shift)
    return (multiplier << room) // count, shift - room


OP = Mean()
