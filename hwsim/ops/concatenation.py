"""CONCATENATION along one axis."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView, Tensor
from hwsim.ops import _onnxruntime
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits
from hwsim.ops._fixed import FixableStep, Fixed, in_turn
from hwsim.ops._vector_moves import moves

_COPY = {dtype: Rule("copy") for dtype in ("int8", "int16", "int32", "int64", "float32", "bool")}


class Concatenation(Op):
    """Codes are copied, int16 ones whatever their scales; legacy uint8 inputs of another scale are requantized in
    float32.
    """

    name = "concatenation"
    sources = {"tflite": "CONCATENATION"}
    options = TfliteOptions("ConcatenationOptions", {"axis": "Axis", "activation": "FusedActivationFunction"})
    rules = {
        "litert-reference": {**_COPY, "uint8": Rule("float32_requantize")},
        "tflite-micro": _COPY,
        "onnxruntime": _onnxruntime.RULES,
        "float": _COPY,
        "aten": dict.fromkeys(("int8", "uint8", "float32"), Rule("copy")),
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shapes = [view.input(i).shape for i in range(len(view.node.inputs))]
        axis = _axis(view)
        if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1 or len({len(s) for s in shapes}) != 1:
            raise ShapeError(f"{view.label}: inputs {[list(s) for s in shapes]} do not join along axis {axis}")
        first = shapes[0]
        return ((*first[:axis], sum(shape[axis] for shape in shapes), *first[axis + 1 :]),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        sources = [view.input(i) for i in range(len(view.node.inputs))]
        tables = [_table(view, source, rule) for source in sources]
        axis = _axis(view) + 1

        def step(inputs: Arrays, outputs: Arrays) -> None:
            start = 0
            for array, table in zip(inputs, tables, strict=True):
                stop = start + array.shape[axis]
                part = outputs[0][(slice(None),) * axis + (slice(start, stop),)]
                part[...] = array if table is None else table[array.astype(np.int64) - limits(array.dtype.name)[0]]
                start = stop

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if any(table is not None for table in tables):
                return None
            parts = np.split(outputs[0], np.cumsum([array.shape[axis] for array in inputs])[:-1], axis)
            steps = moves(inputs, inputs, parts)
            return None if steps is None else in_turn(*steps)

        return FixableStep(step, fixed)


def _axis(view: NodeView) -> int:
    axis, dimensions = view.integer("axis"), len(view.input(0).shape)
    if not -dimensions <= axis < dimensions:
        raise ShapeError(f"{view.label}: axis is {axis}; must be in [{-dimensions}, {dimensions - 1}]")
    return axis % dimensions


def _table(view: NodeView, source: Tensor, rule: Rule) -> NDArray[Any] | None:
    """Output code for each input code, the smallest first, or None where codes are copied.

    Source: TFLite reference/reference_ops.h, ConcatenationWithScaling.
    """
    output = view.output()
    if source.format is None or source.format.same_as(output.format):
        return None
    if source.dtype == "int16":
        return None
    if rule == _onnxruntime.FLOAT32:
        table = np.empty(256, output.dtype)
        _onnxruntime.nearest_codes(output, _onnxruntime.reals(source), table)
        return table
    if rule.algorithm != "float32_requantize":
        raise UnsupportedError(
            f"{view.label}: {source.name!r} has {source.format}, the output {output.format}; must be equal"
        )
    inverse = np.float32(1.0) / np.float32(output.scale)
    scale = np.float32(source.scale) * inverse
    bias = np.float32(-source.zero_point) * scale
    exact = (np.arange(256, dtype=np.float32) * scale + bias).astype(np.float64)
    rounded = np.trunc(exact) + (exact - np.trunc(exact) >= 0.5) - (exact - np.trunc(exact) <= -0.5)
    return np.asarray(np.clip(rounded + output.zero_point, 0, 255), np.uint8)


OP = Concatenation()
