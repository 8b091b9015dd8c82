"""SOFTMAX over the last axis."""

from math import floor

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.softmax import softmax_fixed_point, softmax_float_table
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, limits, no_rule
from hwsim.ops._float import FLOAT
from hwsim.ops._float import softmax as float_softmax
from hwsim.ops._ibert import ibert_softmax
from hwsim.quantizers.expf import expf
from hwsim.quantizers.multiplier import quantize_multiplier

INPUT_INTEGER_BITS = 5


class Softmax(Op):
    """exp(beta * x) / sum; 8-bit codes in, 8 or 16 bits out."""

    name = "softmax"
    sources = {"tflite": "SOFTMAX"}
    options = TfliteOptions("SoftmaxOptions", {"beta": "Beta"})
    rules = {
        "litert-reference": {
            "int8>int8": Rule("fixed_point"),
            "int8>int16": Rule("fixed_point"),
            "uint8>uint8": Rule("fixed_point"),
        },
        "litert-optimized": {
            "int8>int8": Rule("float_table"),
            "int8>int16": Rule("float_table"),
            "uint8>uint8": Rule("float_table"),
        },
        "tflite-micro": {"int8>int8": Rule("fixed_point"), "int8>int16": Rule("fixed_point")},
        "float": {"float32>float32": FLOAT},
    }

    def signature(self, view: NodeView) -> str:
        return f"{view.input(0).dtype}>{view.output().dtype}"

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule.algorithm == "ibert":
            return ibert_softmax(view, _beta(view))
        if rule == FLOAT:
            return float_softmax(view)
        compute = {"fixed_point": _fixed_point, "float_table": _float_table}.get(rule.algorithm)
        if compute is None:
            raise no_rule(view, rule)
        run = compute(view)
        depth = view.input(0).shape[-1]

        def step(inputs: Arrays, outputs: Arrays) -> None:
            run(inputs[0].reshape(-1, depth), outputs[0].reshape(-1, depth))

        return step


def _beta(view: NodeView) -> float:
    return float(np.float32(view.attributes.get("beta", 1.0)))  # type: ignore[arg-type]


def _fixed_point(view: NodeView):  # type: ignore[no-untyped-def]
    real = min(_beta(view) * view.input(0).scale * 2.0 ** (31 - INPUT_INTEGER_BITS), 2.0**31 - 1)
    multiplier, shift = (int(part[0]) for part in quantize_multiplier(real))
    furthest = ((1 << INPUT_INTEGER_BITS) - 1) * 2.0 ** (31 - INPUT_INTEGER_BITS) / 2.0**shift
    minimum, bits = limits(view.output().dtype)[0], 8 * np.dtype(view.output().dtype).itemsize
    return lambda rows, out: softmax_fixed_point(rows, multiplier, shift, -floor(furthest), minimum, bits, out)


def _float_table(view: NodeView):  # type: ignore[no-untyped-def]
    step = np.float32(-view.input(0).scale) * np.float32(_beta(view))
    table = expf(step * np.arange(256, dtype=np.float32))
    scale, ends = view.output().scale, limits(view.output().dtype)
    return lambda rows, out: softmax_float_table(rows, table, scale, *ends, out)


OP = Softmax()
