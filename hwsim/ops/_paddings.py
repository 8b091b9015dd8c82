"""The constant paddings of PAD, PADV2 and MIRROR_PAD: a pair (before, after) for each axis."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape


def paddings(view: NodeView) -> list[tuple[int, int]]:
    """Input 1 as pairs, one per axis of input 0."""
    widths, dimensions = view.constant(1), len(view.input(0).shape)
    if widths.shape != (dimensions, 2) or widths.min(initial=0) < 0:
        raise ShapeError(f"{view.label}: paddings are {widths.tolist()}; expected {dimensions} pairs of sizes >= 0")
    return [(int(before), int(after)) for before, after in widths]


def padded_shape(view: NodeView) -> Shape:
    """The shape of input 0 with its paddings."""
    return tuple(size + sum(pair) for size, pair in zip(view.input(0).shape, paddings(view), strict=True))
