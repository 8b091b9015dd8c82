"""SPLIT: equal parts along one axis."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, along, axis_of, integers, outputs_expected


class Split(Move):
    """The axis is the first input, the tensor the second."""

    name = "split"
    sources = {"tflite": "SPLIT"}
    options = TfliteOptions("SplitOptions", {"num_splits": "NumSplits"})
    rules = everywhere(
        "move", "int8", "uint8", "int16", "int32", "int64", "float32", micro=("int8", "int16", "int32", "float32")
    )

    def signature(self, view: NodeView) -> str:
        return view.input(1).dtype

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axis, count = view.input(1).shape, _axis(view), view.integer("num_splits")
        outputs_expected(view, "num_splits", count)
        if count < 1 or shape[axis] % count:
            raise ShapeError(f"{view.label}: {shape[axis]} along axis {axis} do not split into {count} equal parts")
        return ((*shape[:axis], shape[axis] // count, *shape[axis + 1 :]),) * count

    def mover(self, view: NodeView) -> Mover:
        axis = _axis(view)
        size = view.output().shape[axis]
        parts = [along(axis, slice(i * size, (i + 1) * size)) for i in range(len(view.outputs))]
        return lambda inputs: [inputs[1][part] for part in parts]


def _axis(view: NodeView) -> int:
    return axis_of(view, integers(view, 0, 1, "axis")[0], len(view.input(1).shape))


OP = Split()
