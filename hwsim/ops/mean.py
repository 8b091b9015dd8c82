"""MEAN over constant axes."""

from collections.abc import Callable
from math import floor, log2, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.engines._profile import BYTES
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.kernels.mean import mean_double_rounding, mean_float32, mean_raw_vectors, sum_middle
from hwsim.kernels.onnxruntime import mean_onnxruntime
from hwsim.kernels.vector_reductions import MEAN_ALGORITHMS
from hwsim.ops import _onnxruntime
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.ops._dequantized import MEANS as DEQUANTIZED
from hwsim.ops._dequantized import image_mean, real_image_mean
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._float import FLOATS, NUMBERS, numbers, own_order
from hwsim.ops._numbers import toward_zero
from hwsim.ops._reduce import joined_in_order
from hwsim.ops._rescaled import MEANS, rescaled_mean
from hwsim.ops._vector_layer import fits
from hwsim.ops._vector_reductions import mean as vector_mean
from hwsim.quantizers.multiplier import quantize_multiplier

LARGEST_COUNT = 1 << 22
"""Elements whose sum of bytes fits int32 with room to spare."""

_FINISH: dict[str, Callable[..., None]] = {
    "double_rounding": mean_double_rounding,
    "raw_vectors": mean_raw_vectors,
    "float32": mean_float32,
    _onnxruntime.FLOAT32.algorithm: mean_onnxruntime,
}


def _over_image(view: NodeView) -> bool:
    return len(view.input(0).shape) == 4 and _axes(view) == (1, 2)


def _optimized(view: NodeView) -> Rule | None:
    """LiteRT has an optimized mean over height and width with the dimensions kept."""
    return Rule("raw_vectors") if _over_image(view) and view.attributes.get("keep_dims") else None


def _global(view: NodeView) -> Rule | None:
    """ONNX Runtime has a quantized mean over height and width."""
    return _onnxruntime.FLOAT32 if _over_image(view) else None


class Mean(Op):
    """Mean over axes, requantized to the output's scale."""

    name = "mean"
    sources = {"tflite": "MEAN"}
    options = TfliteOptions("ReducerOptions", {"keep_dims": "KeepDims"})
    rules = {
        "litert-reference": {
            **dict.fromkeys(("int8", "uint8", "int16"), Rule("double_rounding")),
            **numbers("int32", "int64", "float32"),
        },
        "litert-optimized": {"int8": _optimized, "uint8": _optimized, "float32": own_order},
        "xnnpack": {"int8": Rule("float32"), "uint8": Rule("float32")},
        "tflite-micro": {**dict.fromkeys(("int8", "int16"), Rule("double_rounding")), **numbers("float32")},
        "onnxruntime": dict.fromkeys(BYTES, _global),
        "float": FLOATS,
        "aten": {**dict.fromkeys(("int8", "uint8"), Rule("adaptive_mean", "float32")), "float32": Rule("cascade")},
        "qnnpack": {"uint8": Rule("qnnpack_mean", "float32")},
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
        if rule.algorithm in DEQUANTIZED:
            return image_mean(view, rule, axes)
        if rule.algorithm == "cascade":
            return real_image_mean(view, axes)
        if rule in NUMBERS:
            return joined_in_order(axes, np.add, divided)
        kept = [i for i in range(len(shape)) if i not in axes]
        order = (0, *(i + 1 for i in axes), *(i + 1 for i in kept))
        count, inner = prod(shape[i] for i in axes), prod(shape[i] for i in kept)
        numbers = _numbers(view, rule, count)
        finish = _FINISH[rule.algorithm]

        def step(inputs: Arrays, outputs: Arrays) -> None:
            samples = inputs[0].shape[0]
            values = np.ascontiguousarray(inputs[0].transpose(order)).reshape(samples, count, inner)
            sums = np.empty((samples, inner), np.int64)
            sum_middle(values, sums)
            finish(sums, *numbers.values(), outputs[0].reshape(samples, inner))

        together = axes == tuple(range(axes[0], axes[0] + len(axes))) and prod(shape[: axes[0]]) == 1 if axes else False

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if not together or count > LARGEST_COUNT or not fits(inputs[0], outputs[0]):
                return None
            source, out = inputs[0].reshape(-1, count, inner), outputs[0].reshape(-1, inner)
            return vector_mean(rule.algorithm, numbers, source, out)

        return FixableStep(step, fixed) if rule.algorithm in MEAN_ALGORITHMS else step


def divided(total: NDArray[Any], count: int) -> NDArray[Any]:
    """The quotient, of integers rounded toward zero."""
    if total.dtype.kind == "f":
        return np.asarray(total / total.dtype.type(count))
    return toward_zero(total, total.dtype.type(count))


def _axes(view: NodeView) -> Shape:
    dimensions = len(view.input(0).shape)
    axes = [int(axis) for axis in np.atleast_1d(view.constant(1))]
    if any(not -dimensions <= axis < dimensions for axis in axes):
        raise ShapeError(f"{view.label}: axes are {axes}; each must be in [{-dimensions}, {dimensions - 1}]")
    return tuple(sorted({axis % dimensions for axis in axes}))


def _numbers(view: NodeView, rule: Rule, count: int) -> dict[str, int | float]:
    """What the rule's kernel takes between the sums of raw codes and the output, by name and in its order."""
    source, output = view.input(0), view.output()
    minimum, maximum = limits(output.dtype)
    ends = {"minimum": minimum, "maximum": maximum}
    if rule.algorithm == "double_rounding":
        multiplier, shift = _folded_multiplier(source.scale / output.scale, count)
        scaled = {"offset": source.zero_point * count, "multiplier": multiplier, "shift": shift}
        return {**scaled, "zero_point": output.zero_point, **ends}
    if rule.algorithm == "raw_vectors":
        moved = np.float32(source.zero_point) * np.float32(source.scale) / np.float32(output.scale)
        bias = output.zero_point - int(moved + np.float32(0.5) if moved > 0 else moved - np.float32(0.5))
        real = np.float32(source.scale) / (np.float32(count) * np.float32(output.scale))
        multipliers, shifts = quantize_multiplier(float(real))
        return {"multiplier": int(multipliers[0]), "shift": int(shifts[0]), "zero_point": bias, **ends}
    if rule == _onnxruntime.FLOAT32:
        return _onnxruntime.mean_numbers(view, count)
    if rule.algorithm == "float32":
        ratio = np.float32(source.scale) / np.float32(output.scale)
        factor = ratio * (np.float32(1.0) / np.float32(count))
        moved = np.float32(output.zero_point) - np.float32(source.zero_point * count) * factor
        return {"scale": float(factor), "moved": float(moved), **ends}
    raise no_rule(view, rule)


def _folded_multiplier(real: float, count: int) -> tuple[int, int]:
    """The multiplier of si / so with the division by `count` folded in, as TFLite's reference does."""
    multipliers, shifts = quantize_multiplier(real)
    multiplier, shift = int(multipliers[0]), int(shifts[0])
    room = min(floor(log2(count)) if count > 0 else 0, 32, 31 + shift)
    return (multiplier << room) // count, shift - room


OP = Mean()
