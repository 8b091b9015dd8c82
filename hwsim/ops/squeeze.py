"""SQUEEZE: the same values without axes of size 1."""

from hwsim.engines import Rule
from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.graph.graph import DTYPES
from hwsim.ops._base import Arrays, Op, Shape, Step, TfliteOptions, everywhere
from hwsim.ops._fixed import FixableStep
from hwsim.ops._vector_moves import copy


class Squeeze(Op):
    """Drops the named axes, or every axis of size 1 where none is named."""

    name = "squeeze"
    sources = {"tflite": "SQUEEZE"}
    options = TfliteOptions("SqueezeOptions", {"axes": "SqueezeDims"})
    rules = everywhere("copy", *DTYPES)

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape = view.input(0).shape
        named = view.attributes.get("axes", ())
        axes = named if isinstance(named, tuple) else ()
        if any(not -len(shape) <= axis < len(shape) for axis in axes):
            raise ShapeError(f"{view.label}: axes are {list(axes)}; each must be in [{-len(shape)}, {len(shape) - 1}]")
        dropped = {axis % len(shape) for axis in axes} or {i for i, size in enumerate(shape) if size == 1}
        if any(shape[axis] != 1 for axis in dropped):
            raise ShapeError(f"{view.label}: axes {sorted(dropped)} of {list(shape)} are not all of size 1")
        return (tuple(size for i, size in enumerate(shape) if i not in dropped),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        def step(inputs: Arrays, outputs: Arrays) -> None:
            outputs[0][...] = inputs[0].reshape(outputs[0].shape)

        return FixableStep(step, lambda inputs, outputs: copy(inputs[0], outputs[0]))


OP = Squeeze()
