"""The constant blocks of BATCH_TO_SPACE_ND and SPACE_TO_BATCH_ND: a size, and two more numbers, for each space axis."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape


def blocks(view: NodeView, what: str) -> tuple[Shape, list[tuple[int, int]]]:
    """Block sizes (input 1) and pairs (input 2), one per axis between the batch and the last; what : of the pairs."""
    sizes, pairs = view.constant(1).reshape(-1), view.constant(2)
    space = len(view.input(0).shape) - 2
    if space < 1 or sizes.shape != (space,) or sizes.min(initial=1) < 1:
        raise ShapeError(f"{view.label}: block is {sizes.tolist()}; expected {max(space, 0)} sizes >= 1")
    if pairs.shape != (space, 2) or pairs.min(initial=0) < 0:
        raise ShapeError(f"{view.label}: {what} are {pairs.tolist()}; expected {space} pairs of sizes >= 0")
    return tuple(int(size) for size in sizes), [(int(before), int(after)) for before, after in pairs]
