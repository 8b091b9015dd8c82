"""SUB: the difference of two quantized tensors, each with its own scale, broadcast against each other."""

from math import prod

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.kernels.add import add_xnnpack
from hwsim.kernels.sub import sub_tflite
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, no_rule
from hwsim.ops._elementwise import broadcast_shape, sample_rows
from hwsim.ops._sums import check_general, tflite_params, xnnpack_params, xnnpack_rule


class Sub(Op):
    """Subtraction of the second tensor from the first, with a fused activation."""

    name = "sub"
    sources = {"tflite": "SUB"}
    options = TfliteOptions("SubOptions", {"activation": "FusedActivationFunction", "pot_scale_int16": "PotScaleInt16"})
    rules = {
        "litert-reference": dict.fromkeys(("int8", "uint8", "int16"), Rule("tflite")),
        "xnnpack": {"int8": xnnpack_rule, "uint8": xnnpack_rule},
        "tflite-micro": {"int8": Rule("tflite", "float32"), "int16": Rule("tflite")},
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (broadcast_shape(view),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule.algorithm not in ("tflite", "xnnpack"):
            raise no_rule(view, rule)
        check_general(view)
        shape, size = view.output().shape, prod(view.output().shape)
        params = xnnpack_params(view, -1) if rule.algorithm == "xnnpack" else tflite_params(view, rule.scale)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            first, second = sample_rows(inputs[0], shape), sample_rows(inputs[1], shape)
            out = outputs[0].reshape(outputs[0].shape[0], -1)
            if rule.algorithm == "xnnpack":
                add_xnnpack(first, second, params, 0, size, out)
            else:
                sub_tflite(first, second, params, out)

        return step


OP = Sub()
