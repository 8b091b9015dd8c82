"""SPLIT_V: parts of given sizes along one axis."""

from itertools import accumulate, pairwise

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, along, axis_of, integers, outputs_expected


class SplitV(Move):
    """The sizes are constant; one -1 stands for the rest."""

    name = "split_v"
    sources = {"tflite": "SPLIT_V"}
    options = TfliteOptions("SplitVOptions", {"num_splits": "NumSplits"})
    rules = everywhere(
        "move", "int8", "uint8", "int16", "int32", "int64", "float32", micro=("int8", "int16", "int32", "float32")
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        shape, axis = view.input(0).shape, _axis(view)
        outputs_expected(view, "num_splits", view.integer("num_splits"))
        return tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in _sizes(view))

    def mover(self, view: NodeView) -> Mover:
        axis = _axis(view)
        parts = [along(axis, slice(*bounds)) for bounds in pairwise(accumulate(_sizes(view), initial=0))]
        return lambda inputs: [inputs[0][part] for part in parts]


def _axis(view: NodeView) -> int:
    return axis_of(view, integers(view, 2, 1, "axis")[0], len(view.input(0).shape))


def _sizes(view: NodeView) -> Shape:
    total, given = view.input(0).shape[_axis(view)], integers(view, 1, len(view.outputs), "sizes")
    sizes = given
    if given.count(-1) == 1:
        sizes = tuple(total - sum(given) - 1 if size == -1 else size for size in given)
    if min(sizes, default=0) < 0 or sum(sizes) != total:
        raise ShapeError(
            f"{view.label}: sizes are {list(given)}; expected sizes >= 0, at most one -1, {total} together"
        )
    return sizes


OP = SplitV()
