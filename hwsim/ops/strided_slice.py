"""STRIDED_SLICE: every n-th element along each axis, forwards or backwards."""

from collections.abc import Iterator

from hwsim.engines import Rule
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, Step, TfliteOptions
from hwsim.ops._moves import Move, Mover, integers

DTYPES = ("int8", "uint8", "int16", "int32", "int64", "float32", "bool")
_MASKS = {
    "begin_mask": "BeginMask",
    "end_mask": "EndMask",
    "ellipsis_mask": "EllipsisMask",
    "new_axis_mask": "NewAxisMask",
    "shrink_axis_mask": "ShrinkAxisMask",
    "offset": "Offset",
}


class StridedSlice(Move):
    """Constant begins, ends and strides; the masks open an end of an axis or drop the axis. Axes not named stay whole.

    Source: TFLite kernels/internal/strided_slice_logic.h.
    """

    name = "strided_slice"
    sources = {"tflite": "STRIDED_SLICE"}
    options = TfliteOptions("StridedSliceOptions", _MASKS)
    rules = {
        "litert-reference": dict.fromkeys(DTYPES, Rule("move")),
        "tflite-micro": dict.fromkeys(("int8", "int16", "int32", "float32", "bool"), Rule("move_every_axis")),
        "float": dict.fromkeys(DTYPES, Rule("move")),
    }

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return (tuple(len(steps) for steps in _steps(view) if isinstance(steps, range)),)

    def bind(self, view: NodeView, rule: Rule) -> Step:
        given, dimensions = view.constant(1).size, len(view.input(0).shape)
        if rule.algorithm == "move_every_axis" and given != dimensions:
            raise UnsupportedError(
                f"{view.label}: begin has {given} values; TensorFlow Lite Micro needs one for each of {dimensions} axes"
            )
        return super().bind(view, rule)

    def mover(self, view: NodeView) -> Mover:
        where = (slice(None), *(_index(steps) for steps in _steps(view)))
        return lambda inputs: [inputs[0][where]]


def _steps(view: NodeView) -> Iterator[range | int]:
    """What is taken along each axis: a range, or one index where the axis is dropped."""
    for unknown in ("ellipsis_mask", "new_axis_mask", "offset"):
        if view.attributes.get(unknown):
            raise UnsupportedError(f"{view.label}: {unknown} is {view.attributes[unknown]}; hwsim runs 0 only")
    shape = view.input(0).shape
    count = view.constant(1).size
    if count > len(shape):
        raise ShapeError(f"{view.label}: begin has {count} values; expected at most {len(shape)}")
    given = [integers(view, i, count, what) for i, what in ((1, "begin"), (2, "end"), (3, "strides"))]
    masks = [view.integer(name, 0) for name in ("begin_mask", "end_mask", "shrink_axis_mask")]
    for axis, (size, begin, end, stride) in enumerate(zip(shape[:count], *given, strict=True)):
        opened, closed, dropped = (bool(mask >> axis & 1) for mask in masks)
        if stride == 0 or (dropped and stride < 0):
            wanted = "a positive one where the axis is dropped" if dropped else "any but 0"
            raise ShapeError(f"{view.label}: stride is {stride} along axis {axis}; expected {wanted}")
        steps = range(*slice(None if opened else begin, None if closed else end, stride).indices(size))
        if not dropped:
            yield steps
            continue
        first = 0 if opened else begin
        if not -size <= first < size:
            raise ShapeError(f"{view.label}: begin is {first} along axis {axis}; must be in [{-size}, {size - 1}]")
        yield first % size
    yield from map(range, shape[count:])


def _index(steps: range | int) -> slice | int:
    if isinstance(steps, int):
        return steps
    stop = steps.stop if steps.stop >= 0 else None
    return slice(steps.start, stop, steps.step) if steps else slice(0, 0)


OP = StridedSlice()
