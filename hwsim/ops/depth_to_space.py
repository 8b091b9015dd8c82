"""DEPTH_TO_SPACE: channels of an image become square blocks."""

from hwsim.errors import ShapeError
from hwsim.graph import NodeView
from hwsim.ops._base import Shape, TfliteOptions, everywhere, rank
from hwsim.ops._moves import Move, Mover


class DepthToSpace(Move):
    """Channels of the input are (row in block, column in block, channel)."""

    name = "depth_to_space"
    sources = {"tflite": "DEPTH_TO_SPACE"}
    options = TfliteOptions("DepthToSpaceOptions", {"block_size": "BlockSize"})
    rules = everywhere("move", "int8", "uint8", "int32", "int64", "float32", micro=("int8", "float32"))

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        batch, height, width, channels = rank(view, 0, 4)
        block = view.integer("block_size")
        if block < 1 or channels % (block * block):
            raise ShapeError(f"{view.label}: block_size is {block}; must be >= 1 and its square divide {channels}")
        return ((batch, height * block, width * block, channels // (block * block)),)

    def mover(self, view: NodeView) -> Mover:
        block = view.integer("block_size")
        batch, height, width, _ = view.input(0).shape
        joined = self.infer_shapes(view)[0]
        split = (batch, height, width, block, block, joined[3])
        return lambda inputs: [
            inputs[0].reshape(len(inputs[0]), *split).transpose(0, 1, 2, 4, 3, 5, 6).reshape(len(inputs[0]), *joined)
        ]


OP = DepthToSpace()
