"""A constant table from every 8-bit code to another: learned levels, and any other function of one code."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.engines import Rule
from hwsim.errors import GraphError
from hwsim.graph import NodeView
from hwsim.ops._byte_function import BYTES, ByteFunction


class Lookup(ByteFunction):
    """Output code = table[input code, from the smallest on]; the table (256,), of the codes' dtype, is input 1.

    No TFLite engine has it.
    """

    name = "lookup"
    sources = {}
    rules = {"dyadic": {"int8": Rule("table")}, "aten": dict.fromkeys(BYTES, Rule("table"))}

    def table(self, view: NodeView, rule: Rule, values: NDArray[np.int64], out: NDArray[Any]) -> None:
        table = view.constant(1)
        if table.shape != (256,) or table.dtype != out.dtype:
            raise GraphError(
                f"{view.label}: its table is {table.dtype} {list(table.shape)}; expected {out.dtype} [256]"
            )
        out[:] = table


OP = Lookup()
