"""BATCH_MATMUL: matrices (..., rows, depth) times matrices (..., depth, columns), leading axes broadcast."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.kernels.batch_matmul import batch_matmul
from hwsim.kernels.float_matmul import accumulate_float
from hwsim.ops._accumulating import REDUCED_INT64, SUMS_INT64, Accumulating, output_stage
from hwsim.ops._base import Arrays, Shape, Step, TfliteOptions, symmetric_int16
from hwsim.ops._float import FLOAT

INT16 = Rule(REDUCED_INT64.algorithm, "float32_product", SUMS_INT64)


def _xnnpack(view: NodeView) -> Rule | None:
    """XNNPACK takes a constant second matrix with zero point 0."""
    second = view.input(1)
    return Rule("float32", "float32") if second.is_constant and second.zero_point == 0 else None


class BatchMatmul(Accumulating):
    """Either matrix may come transposed: `adj_x` the first, `adj_y` the second.

    Source: LiteRT tflite/kernels/batch_matmul.cc; TFLM micro/kernels/batch_matmul.cc.
    """

    name = "batch_matmul"
    sources = {"tflite": "BATCH_MATMUL"}
    options = TfliteOptions(
        "BatchMatMulOptions",
        {"adj_x": "AdjX", "adj_y": "AdjY", "asymmetric_quantize_inputs": "AsymmetricQuantizeInputs"},
    )
    rules = {
        "litert-reference": {
            "int8>int8": Rule("double_rounding", "float32_product"),
            "int16>int16": INT16,
            "int16,int8>int16": INT16,
        },
        "xnnpack": {"int8>int8": _xnnpack},
        "tflite-micro": {"int8>int8": Rule("double_rounding", "float32_product"), "int16>int16": INT16},
        "float": {"float32>float32": FLOAT},
    }

    def signature(self, view: NodeView) -> str:
        first, second = view.input(0).dtype, view.input(1).dtype
        return f"{first}{',' + second if second != first else ''}>{view.output().dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        (*outer, rows, depth), (*others, columns, found) = _matrices(view)
        try:
            leading = np.broadcast_shapes(tuple(outer), tuple(others))
        except ValueError:
            leading, found = (), -1
        if depth != found:
            first, second = view.input(0).shape, view.input(1).shape
            raise ShapeError(f"{view.label}: {list(first)} and {list(second)} are no matrices that multiply")
        return ((*leading, rows, columns),)

    def macs(self, view: NodeView) -> int:
        return prod(view.output().shape) * _matrices(view)[0][-1]

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return self._bind_float(view)
        symmetric_int16(view, [view.input(0), view.output()])
        *leading, rows, columns = self.infer_shapes(view)[0]
        stage = output_stage(view, rule, columns)
        zeros = np.zeros(columns, np.int64 if rule.accumulator == SUMS_INT64 else np.int32)
        zero_points = view.input(0).zero_point, view.input(1).zero_point
        turned = bool(view.attributes.get("adj_x")), not view.attributes.get("adj_y")

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = (
                _spread(array.astype(np.int16) - np.int16(zero_point), swap, (outputs[0].shape[0], *leading))
                for array, zero_point, swap in zip(inputs, zero_points, turned, strict=True)
            )
            batch_matmul(first, second, zeros, stage, outputs[0].reshape(-1, rows, columns))

        return step

    def _bind_float(self, view: NodeView) -> Step:
        *leading, rows, columns = self.infer_shapes(view)[0]
        zeros = np.zeros(columns, np.float32)
        turned = bool(view.attributes.get("adj_x")), bool(view.attributes.get("adj_y"))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = (
                _spread(array, swap, (outputs[0].shape[0], *leading))
                for array, swap in zip(inputs, turned, strict=True)
            )
            for a, b, out in zip(first, second, outputs[0].reshape(-1, rows, columns), strict=True):
                accumulate_float(a, b, zeros, out)

        return step


def _matrices(view: NodeView) -> tuple[Shape, Shape]:
    """Shapes as (..., rows, depth) and (..., columns, depth)."""
    shapes = []
    for position, swap in ((0, bool(view.attributes.get("adj_x"))), (1, not view.attributes.get("adj_y"))):
        shape = view.input(position).shape
        if len(shape) < 2:
            raise ShapeError(f"{view.label}: input {list(shape)} is no matrix; expected at least 2 dimensions")
        shapes.append((*shape[:-2], shape[-1], shape[-2]) if swap else shape)
    return shapes[0], shapes[1]


def _spread(array: NDArray[Any], swap: bool, leading: Shape) -> NDArray[Any]:
    """(samples, ..., rows, columns), turned where `swap`, repeated to `leading`, as (batch, rows, columns)."""
    matrices = array.swapaxes(-1, -2) if swap else array
    samples, *outer, rows, columns = matrices.shape
    matrices = matrices.reshape(samples, *(1,) * (len(leading) - 1 - len(outer)), *outer, rows, columns)
    return np.ascontiguousarray(np.broadcast_to(matrices, (*leading, rows, columns))).reshape(-1, rows, columns)


OP = BatchMatmul()
