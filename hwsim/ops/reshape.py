"""RESHAPE: the same values under another shape."""

from math import prod

import numpy as np

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.graph.graph import DTYPES
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere
from hwsim.ops._fixed import FixableStep
from hwsim.ops._vector_moves import copy


class Reshape(Op):
    """The new shape comes from a constant input or from the options; one -1 is inferred."""

    name = "reshape"
    sources = {"tflite": "RESHAPE"}
    options = TfliteOptions("ReshapeOptions", {"new_shape": "NewShape"})
    rules = everywhere("copy", *DTYPES)

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        source = view.input(0).shape
        wanted = _wanted(view)
        known = prod(size for size in wanted if size != -1)
        if wanted.count(-1) == 1 and known > 0 and prod(source) % known == 0:
            wanted = tuple(prod(source) // known if size == -1 else size for size in wanted)
        if min(wanted, default=0) < 0 or prod(wanted) != prod(source):
            raise ShapeError(f"{view.label}: {list(source)} cannot become {list(wanted)}")
        return (wanted,)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = inputs[0].reshape(outputs[0].shape)

        return FixableStep(step, lambda inputs, outputs: copy(inputs[0], outputs[0]))


def _wanted(view: NodeView) -> Shape:
    if view.optional(1) is not None:
        return tuple(int(size) for size in np.atleast_1d(view.constant(1)))
    wanted = view.attributes.get("new_shape", ())
    if not isinstance(wanted, tuple):
        raise ShapeError(f"{view.label}: new_shape is {wanted!r}; expected a list of sizes")
    return wanted


OP = Reshape()
