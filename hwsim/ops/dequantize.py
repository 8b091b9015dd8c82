"""DEQUANTIZE: codes to real values."""

from math import prod

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.quantize import dequantize, dequantize_multiply_add
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, no_rule
from hwsim.ops._vectors import Array, body_and_tail

VECTOR = 8


class Dequantize(Op):
    """scale * (code - zero_point) in float32."""

    name = "dequantize"
    sources = {"tflite": "DEQUANTIZE"}
    options = TfliteOptions("DequantizeOptions")
    rules = {
        "litert-reference": dict.fromkeys(("int8", "uint8", "int16"), Rule("exact_product")),
        "litert-optimized": dict.fromkeys(("int8", "uint8"), Rule("multiply_add_vectors")),
        "xnnpack": dict.fromkeys(("int8", "uint8"), Rule("exact_product")),
        "tflite-micro": dict.fromkeys(("int8", "uint8", "int16"), Rule("exact_product")),
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        scale, zero_point = view.input(0).scale, view.input(0).zero_point

        def exact(codes: Array, out: Array) -> None:
            dequantize(codes, scale, zero_point, out)

        def multiply_add(codes: Array, out: Array) -> None:
            dequantize_multiply_add(codes, scale, zero_point, out)

        if rule.algorithm not in ("exact_product", "multiply_add_vectors"):
            raise no_rule(view, rule)
        vectors = body_and_tail(prod(view.input(0).shape), VECTOR, multiply_add, exact)
        run = exact if rule.algorithm == "exact_product" else vectors

        def step(inputs: Arrays, outputs: Arrays) -> None:
            samples = inputs[0].shape[0]
            run(inputs[0].reshape(samples, -1), outputs[0].reshape(samples, -1))

        return step


OP = Dequantize()
