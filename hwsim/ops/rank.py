"""RANK: how many dimensions a tensor has."""

import numpy as np

from hwsim.graph import NodeView
from hwsim.graph.graph import DTYPES
from hwsim.ops._base import Shape, TfliteOptions, everywhere
from hwsim.ops._moves import Move, Mover


class Rank(Move):
    """As declared."""

    name = "rank"
    sources = {"tflite": "RANK"}
    options = TfliteOptions("RankOptions")
    rules = everywhere("declared", *DTYPES, micro=())

    def infer_shapes(self, view: NodeView) -> tuple[Shape, ...]:
        return ((),)

    def mover(self, view: NodeView) -> Mover:
        dimensions = np.array(len(view.input(0).shape))
        return lambda _: [dimensions]


OP = Rank()
