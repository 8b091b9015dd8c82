"""What average and maximum pooling share."""

from collections.abc import Callable
from typing import Any

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, merge_batch, rank
from hwsim.ops._fixed import FixableStep, Fixed
from hwsim.ops._float import FLOAT, FLOATS
from hwsim.ops._stated import output_bounds
from hwsim.ops._vector_layer import fits
from hwsim.ops._vector_reductions import pool
from hwsim.ops._window import window


class Pool2d(Op):
    """A window moved over every channel; codes in, codes out, at one scale."""

    options = TfliteOptions(
        "Pool2DOptions",
        {
            "padding": "Padding",
            "stride_h": "StrideH",
            "stride_w": "StrideW",
            "filter_h": "FilterHeight",
            "filter_w": "FilterWidth",
            "activation": "FusedActivationFunction",
        },
    )
    stated = ("output_minimum", "output_maximum")
    rules = {
        "litert-reference": dict.fromkeys(("int8", "uint8", "int16"), Rule("integer")),
        "tflite-micro": dict.fromkeys(("int8", "int16"), Rule("integer")),
        "float": FLOATS,
    }

    def kernel(self) -> Callable[..., Any]:
        """The kernel: (images, window, minimum, maximum, out)."""
        raise NotImplementedError

    def float_step(self, view: NodeView) -> Step:
        """What computes it on float32."""
        raise NotImplementedError

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, _, _, channels = rank(view, 0, 4)
        height, width = view.integer("filter_h"), view.integer("filter_w")
        if height < 1 or width < 1:
            raise ShapeError(f"{view.label}: filter is {height}x{width}; each side must be at least 1")
        _, out_height, out_width = window(view, height, width)
        return ((batch, out_height, out_width, channels),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        if rule == FLOAT:
            return self.float_step(view)
        source, output = view.input(0), view.output()
        if source.format is None or not source.format.same_as(output.format):
            raise ShapeError(
                f"{view.label}: input has {source.format}, output {output.format}; pooling needs them equal"
            )
        low, high = output_bounds(view)
        frame, _, _ = window(view, view.integer("filter_h"), view.integer("filter_w"))
        kernel = self.kernel()

        def step(inputs: Arrays, outputs: Arrays) -> None:
            kernel(merge_batch(inputs[0]), frame, low, high, merge_batch(outputs[0]))

        def fixed(inputs: Arrays, outputs: Arrays) -> Fixed | None:
            if not fits(inputs[0], outputs[0]):
                return None
            return pool(self.name, frame, low, high, merge_batch(inputs[0]), merge_batch(outputs[0]))

        return FixableStep(step, fixed)
