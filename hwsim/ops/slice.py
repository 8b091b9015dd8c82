"""SLICE: a box out of a tensor."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover, integers


class Slice(Move):
    """From a constant begin, a constant size; -1 stands for the rest of the axis."""

    name = "slice"
    sources = {"tflite": "SLICE"}
    options = TfliteOptions("SliceOptions")
    rules = everywhere(
        "move",
        "int8",
        "uint8",
        "int16",
        "int32",
        "int64",
        "float32",
        "bool",
        micro=("int8", "int16", "int32", "float32", "bool"),
    )

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (tuple(stop - begin for begin, stop in _bounds(view)),)

    def mover(self, view: NodeView) -> Mover:
        where = (slice(None), *(slice(begin, stop) for begin, stop in _bounds(view)))
        return lambda inputs: [inputs[0][where]]


def _bounds(view: NodeView) -> list[tuple[int, int]]:
    shape = view.input(0).shape
    begins, sizes = (integers(view, i, len(shape), what) for i, what in ((1, "begin"), (2, "size")))
    bounds = [
        (begin, length if size == -1 else begin + size)
        for begin, size, length in zip(begins, sizes, shape, strict=True)
    ]
    if any(not 0 <= begin <= stop <= length for (begin, stop), length in zip(bounds, shape, strict=True)):
        raise ShapeError(f"{view.label}: begin {list(begins)} and size {list(sizes)} leave the input {list(shape)}")
    return bounds


OP = Slice()
