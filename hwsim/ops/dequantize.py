"""DEQUANTIZE: codes to real values."""

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.quantize import dequantize
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere


class Dequantize(Op):
    """float32(scale * (code - zero_point)), the same in every engine."""

    name = "dequantize"
    sources = {"tflite": "DEQUANTIZE"}
    options = TfliteOptions("DequantizeOptions")
    rules = everywhere("exact_product", "int8", "uint8", "int16")

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        scale, zero_point = view.input(0).scale, view.input(0).zero_point

        def step(inputs: Arrays, outputs: Arrays) -> None:
            dequantize(inputs[0].reshape(-1), scale, zero_point, outputs[0].reshape(-1))

        return step


OP = Dequantize()
