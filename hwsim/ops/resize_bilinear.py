"""RESIZE_BILINEAR of images (batch, height, width, channels) to a constant size."""

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.kernels.resize_bilinear import (
    resize_bilinear_float32,
    resize_bilinear_float32_weights,
    resize_bilinear_q10,
    resize_bilinear_q11,
)
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, merge_batch, no_rule, rank
from hwsim.ops._float import FLOAT, FLOATS
from hwsim.ops._float import resize_bilinear as float_resize_bilinear

Positions = NDArray[np.int64]


class ResizeBilinear(Op):
    """Linear interpolation between the codes of four neighbours."""

    name = "resize_bilinear"
    sources = {"tflite": "RESIZE_BILINEAR"}
    options = TfliteOptions(
        "ResizeBilinearOptions", {"align_corners": "AlignCorners", "half_pixel_centers": "HalfPixelCenters"}
    )
    rules = {
        "litert-reference": {"int8": Rule("q10"), "int16": Rule("q10"), "uint8": Rule("float32")},
        "litert-optimized": {"uint8": Rule("float32_weights")},
        "xnnpack": {"int8": Rule("q11"), "uint8": Rule("q11")},
        "tflite-micro": {"int8": Rule("q10")},
        "float": FLOATS,
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, _, _, channels = rank(view, 0, 4)
        size = view.constant(1).reshape(-1)
        if size.size != 2 or size.min() < 1:
            raise ShapeError(f"{view.label}: size is {size.tolist()}; expected a height and a width of at least 1")
        return ((batch, int(size[0]), int(size[1]), channels),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        known = {
            "q10": (resize_bilinear_q10, _positions_q10),
            "q11": (resize_bilinear_q11, _positions_q11),
            "float32": (resize_bilinear_float32, _positions_float32),
            "float32_weights": (resize_bilinear_float32_weights, _positions_float32),
        }
        if rule.algorithm not in known and rule != FLOAT:
            raise no_rule(view, rule)
        kernel, positions = known[rule.algorithm if rule != FLOAT else "float32"]
        _, height, width, _ = view.input(0).shape
        _, out_height, out_width, _ = self.infer_shapes(view)[0]
        rows, columns = positions(view, height, out_height), positions(view, width, out_width)
        if rule == FLOAT:
            return float_resize_bilinear(rows, columns)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            kernel(merge_batch(inputs[0]), *rows, *columns, merge_batch(outputs[0]))

        return step


def _corners(view: NodeView, out: int) -> bool:
    return bool(view.attributes.get("align_corners")) and out > 1


def _half_pixel(view: NodeView) -> bool:
    return bool(view.attributes.get("half_pixel_centers"))


def _positions_q10(view: NodeView, size: int, out: int) -> tuple[Positions]:
    """Lower index, upper index and fraction * 1024. Source: TFLite reference/resize_bilinear.h,
    ComputeInterpolationValuesInteger.
    """
    scale = (
        (((size - 1) << 10) + (out - 1) // 2) // (out - 1) if _corners(view, out) else ((size << 10) + out // 2) // out
    )
    at = np.arange(out, dtype=np.int64) * scale
    if _half_pixel(view):
        at += scale // 2 - 512
    lower = np.maximum(np.trunc(at / 1024).astype(np.int64), 0)
    upper = np.minimum(np.trunc((at + 1023) / 1024).astype(np.int64), size - 1)
    return (np.stack([lower, upper, at - 1024 * lower], axis=1),)


def _positions_float32(view: NodeView, size: int, out: int) -> tuple[Positions, NDArray[np.float32]]:
    """Lower and upper index; the float32 fraction. Source: TFLite reference/resize_bilinear.h,
    ComputeInterpolationValues.
    """
    scale = np.float32(size - 1) / np.float32(out - 1) if _corners(view, out) else np.float32(size) / np.float32(out)
    at = np.arange(out, dtype=np.float32)
    at = (at + np.float32(0.5)) * scale - np.float32(0.5) if _half_pixel(view) else at * scale
    floor = np.floor(at).astype(np.int64)
    lower = np.maximum(floor, 0)
    upper = np.minimum(np.ceil(at).astype(np.int64), size - 1)
    return np.stack([lower, upper], axis=1), (at - lower.astype(np.float32)).astype(np.float32)


def _positions_q11(view: NodeView, size: int, out: int) -> tuple[Positions]:
    """Lower index, upper index and fraction * 2048. Source: google/XNNPACK src/indirection.c."""
    less = 1 if _corners(view, out) else 0
    scale = np.float32(size - less) / np.float32(out - less)
    at = np.arange(out, dtype=np.float32) * scale
    if _half_pixel(view):
        at = at + (np.float32(0.5) * scale - np.float32(0.5))
    at = np.clip(at, np.float32(0.0), np.float32(size - 1)).astype(np.float32)
    lower = at.astype(np.int64)
    fraction = np.rint((at - lower.astype(np.float32)) * np.float32(2048.0)).astype(np.int64)
    return (np.stack([lower, np.minimum(lower + 1, size - 1), fraction], axis=1),)


OP = ResizeBilinear()
