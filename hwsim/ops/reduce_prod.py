"""REDUCE_PROD over constant axes."""

import numpy as np

from hwsim.engines import Rule
from hwsim.graph import NodeView
from hwsim.ops._base import Step, everywhere
from hwsim.ops._reduce import Reduction, joined_in_order, reduced_axes


class ReduceProd(Reduction):
    """Multiplied in the order of the elements; integers wrap. Source: LiteRT tflite/kernels/reduce.cc."""

    name = "reduce_prod"
    sources = {"tflite": "REDUCE_PROD"}
    rules = everywhere("in_order", "int32", "int64", "float32", micro=())

    def bind(self, view: NodeView, rule: Rule) -> Step:
        return joined_in_order(reduced_axes(view), np.multiply)


OP = ReduceProd()
