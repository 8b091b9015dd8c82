"""BATCH_TO_SPACE_ND: images become blocks of larger ones, which are then cropped."""

from math import prod

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Arrays, Shape, TfliteOptions, everywhere
from hwsim.ops._blocks import blocks
from hwsim.ops._moves import Move, Mover


class BatchToSpaceNd(Move):
    """Source: TFLite reference/batch_to_space_nd.h."""

    name = "batch_to_space_nd"
    sources = {"tflite": "BATCH_TO_SPACE_ND"}
    options = TfliteOptions("BatchToSpaceNDOptions")
    rules = everywhere("move", "int8", "uint8", "int16", "int32", "int64", "float32", micro=("int8", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, *space, depth = view.input(0).shape
        sizes, crops = blocks(view, "crops")
        if batch % prod(sizes):
            raise ShapeError(f"{view.label}: block {list(sizes)} does not divide the batch of {batch}")
        cropped = [n * block - sum(pair) for n, block, pair in zip(space, sizes, crops, strict=True)]
        if min(cropped) < 0:
            raise ShapeError(f"{view.label}: crops are {[list(pair) for pair in crops]}; they leave {cropped}")
        return ((batch // prod(sizes), *cropped, depth),)

    def mover(self, view: NodeView) -> Mover:
        sizes, crops = blocks(view, "crops")
        batch, *space, depth = view.input(0).shape
        count, rest = len(sizes), batch // prod(sizes)
        order = (0, count + 1, *(i for k in range(count) for i in (count + 2 + k, 1 + k)), 2 * count + 2)
        whole = [n * block for n, block in zip(space, sizes, strict=True)]
        where = tuple(slice(before, size - after) for (before, after), size in zip(crops, whole, strict=True))

        def move(inputs: Arrays) -> Arrays:
            split = inputs[0].reshape(-1, *sizes, rest, *space, depth)
            return [split.transpose(order).reshape(-1, rest, *whole, depth)[(slice(None), slice(None), *where)]]

        return move


OP = BatchToSpaceNd()
