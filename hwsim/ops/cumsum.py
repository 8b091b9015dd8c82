"""CUMSUM: running sums along one axis."""

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere
from hwsim.ops._moves import axis_of, integers


class Cumsum(Op):
    """Without the element itself where exclusive, from the end where reversed; integers wrap.

    Source: LiteRT tflite/kernels/cumsum.cc, internal/optimized/optimized_ops.h, CumSum; TFLM micro/kernels/cumsum.cc.
    """

    name = "cumsum"
    sources = {"tflite": "CUMSUM"}
    options = TfliteOptions("CumsumOptions", {"exclusive": "Exclusive", "reverse": "Reverse"})
    rules = everywhere("running", "int32", "int64", "float32", micro=("float32",))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        axis_of(view, integers(view, 1, 1, "axis")[0], len(view.input(0).shape))
        return (view.input(0).shape,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        axis = axis_of(view, integers(view, 1, 1, "axis")[0], len(view.input(0).shape)) + 1
        exclusive, reverse = bool(view.attributes.get("exclusive")), bool(view.attributes.get("reverse"))

        def step(inputs: Arrays, outputs: Arrays) -> None:
            source, out = (np.moveaxis(array, axis, 0) for array in (inputs[0], outputs[0]))
            source, out = (source[::-1], out[::-1]) if reverse else (source, out)
            total = np.zeros_like(source[:1])
            for k in range(len(source)):
                before, total = total, total + source[k : k + 1]
                out[k : k + 1] = before if exclusive else total

        return step


OP = Cumsum()
