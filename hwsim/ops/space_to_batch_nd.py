"""SPACE_TO_BATCH_ND: blocks of a padded image become further images."""

from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions
from hwsim.ops._blocks import blocks


class SpaceToBatchNd(Op):
    """Padding is the zero point, in TFLM the code 0. Source: TFLite reference/space_to_batch_nd.h."""

    name = "space_to_batch_nd"
    sources = {"tflite": "SPACE_TO_BATCH_ND"}
    options = TfliteOptions("SpaceToBatchNDOptions")
    rules = {
        "litert-reference": dict.fromkeys(("int8", "uint8", "int16", "int32", "int64", "float32"), Rule("zero_point")),
        "tflite-micro": dict.fromkeys(("int8", "float32"), Rule("zero_code")),
        "float": {"float32": Rule("zero_code")},
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, *space, depth = view.input(0).shape
        sizes, paddings = blocks(view, "paddings")
        padded = [size + sum(pair) for size, pair in zip(space, paddings, strict=True)]
        if any(size % block for size, block in zip(padded, sizes, strict=True)):
            raise ShapeError(f"{view.label}: block {list(sizes)} does not divide the padded sizes {padded}")
        return ((batch * prod(sizes), *(size // block for size, block in zip(padded, sizes, strict=True)), depth),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        sizes, paddings = blocks(view, "paddings")
        (out,) = self.infer_shapes(view)
        quantized = view.output().format is not None and rule.algorithm == "zero_point"
        fill = view.output().zero_point if quantized else 0
        batch, depth = view.input(0).shape[0], view.input(0).shape[-1]
        split = [n for pair in zip(out[1:-1], sizes, strict=True) for n in pair]
        count = len(sizes)
        order = (0, *(3 + 2 * i for i in range(count)), 1, *(2 + 2 * i for i in range(count)), 2 + 2 * count)

        def step(inputs: Arrays, outputs: Arrays) -> None:
            widths = [(0, 0), (0, 0), *paddings, (0, 0)]
            padded = np.pad(inputs[0], widths, constant_values=fill)
            outputs[0][...] = padded.reshape(-1, batch, *split, depth).transpose(order).reshape(-1, *out)

        return step


OP = SpaceToBatchNd()
