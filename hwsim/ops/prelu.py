"""PRELU: x, or a constant times x below zero; one constant per channel, or any other that broadcasts."""

from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.kernels.leaky_relu import leaky_relu_double_rounding
from hwsim.ops._base import Arrays, Op, Shape, Step, limits, no_rule
from hwsim.ops._byte_function import BYTES, multiplier_of
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._float import FLOAT, FLOATS, numbers, pointwise
from hwsim.ops._vector_moves import lookup as vector_lookup


class Prelu(Op):
    """As LEAKY_RELU, with quantized slopes.

    Source: TFLite reference/prelu.h; LiteRT tflite/kernels/activations.cc, PreluPrepare (float32 scales); TFLM
    micro/kernels/prelu_common.cc (float64).
    """

    name = "prelu"
    sources = {"tflite": "PRELU"}
    rules = {
        "litert-reference": {
            **dict.fromkeys((*BYTES, "int16"), Rule("double_rounding", "float32")),
            **numbers("float32"),
        },
        "tflite-micro": {**dict.fromkeys(("int8", "int16"), Rule("double_rounding")), **numbers("float32")},
        "float": FLOATS,
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, slopes = view.input(0).shape, view.input(1).shape
        widened = (1,) * (len(shape) - len(slopes)) + slopes
        if len(widened) != len(shape) or any(n not in (1, m) for n, m in zip(widened, shape, strict=True)):
            raise ShapeError(f"{view.label}: slopes {list(slopes)} do not broadcast to the input's {list(shape)}")
        return (shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return pointwise(lambda x: np.where(x >= 0, x, x * view.constant(1)))
        if rule.algorithm != "double_rounding":
            raise no_rule(view, rule)
        x, alpha, output = view.input(0), view.input(1), view.output()
        width = np.float64 if rule.scale == "float64" else np.float32
        source, slope, target = width(x.scale), width(alpha.scale), width(output.scale)
        identity, leak = multiplier_of(source / target), multiplier_of(source * slope / target)
        centered = view.constant(1).astype(np.int64) - alpha.zero_point
        slopes = np.ascontiguousarray(np.broadcast_to(centered, x.shape)).reshape(-1)
        ends = (output.zero_point, *limits(output.dtype))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            samples = inputs[0].shape[0]
            values = inputs[0].reshape(samples, -1).astype(np.int64) - x.zero_point
            leaky_relu_double_rounding(values, slopes, identity, leak, *ends, outputs[0].reshape(samples, -1))

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if x.dtype not in BYTES or len(x.shape) == 0 or prod(alpha.shape) != alpha.shape[-1]:
                return None
            low, high = limits(x.dtype)
            each = np.ascontiguousarray(np.broadcast_to(centered.reshape(-1), x.shape[-1]))
            codes = np.repeat(np.arange(low, high + 1) - x.zero_point, each.size)[None]
            tables = np.empty((1, codes.size), output.dtype)
            leaky_relu_double_rounding(codes, np.tile(each, 256), identity, leak, *ends, tables)
            by_channel = np.ascontiguousarray(tables.reshape(256, each.size).T)
            return vector_lookup(by_channel, low, inputs[0], outputs[0])

        return FixableStep(step, fixed)


OP = Prelu()
