"""SPACE_TO_DEPTH: square blocks of an image become channels."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere, rank
from hwsim.ops._moves import Move, Mover


class SpaceToDepth(Move):
    """Channels of the output are (row in block, column in block, channel)."""

    name = "space_to_depth"
    sources = {"tflite": "SPACE_TO_DEPTH"}
    options = TfliteOptions("SpaceToDepthOptions", {"block_size": "BlockSize"})
    rules = everywhere("move", "int8", "uint8", "int32", "int64", "float32", micro=("int8", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, height, width, channels = rank(view, 0, 4)
        block = view.integer("block_size")
        if block < 1 or height % block or width % block:
            raise ShapeError(f"{view.label}: block_size is {block}; must be >= 1 and divide {height} and {width}")
        return ((batch, height // block, width // block, channels * block * block),)

    def mover(self, view: NodeView) -> Mover:
        block = view.integer("block_size")
        joined = self.infer_shapes(view)[0]
        batch, height, width, _ = joined
        split = (batch, height, block, width, block, view.input(0).shape[3])
        return lambda inputs: [
            inputs[0].reshape(len(inputs[0]), *split).transpose(0, 1, 2, 4, 3, 5, 6).reshape(len(inputs[0]), *joined)
        ]


OP = SpaceToDepth()
