"""State: the values of a graph's variables, which a run starts from and leaves behind."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from hwsim.errors import InputError, unknown
from hwsim.graph import Graph
from hwsim.simulate.inputs import Array

State = Mapping[str, Array]
"""Values of variables by tensor name, each of the shape that the file declares."""


def starting_state(graph: Graph, given: Mapping[str, ArrayLike] | None = None) -> dict[int, Array]:
    """Every variable's value by index: the one in `given`, else its reset value; InputError where one does not fit.

    given : by tensor name, each of the declared shape and dtype
    """
    names = {graph.tensors[index].name: index for index in graph.variables}
    state = {index: graph.tensors[index].reset_value for index in graph.variables}
    for name, value in (given or {}).items():
        if name not in names:
            raise InputError(unknown("state", name, names) if names else f"state {name!r}: the model keeps no state")
        tensor, array = graph.tensors[names[name]], np.asarray(value)
        if (array.shape, array.dtype) != (tensor.shape, np.dtype(tensor.dtype)):
            raise InputError(
                f"state {name!r} is {array.dtype} {list(array.shape)}; expected {tensor.dtype} {list(tensor.shape)}"
            )
        state[names[name]] = array
    return state


def named_state(graph: Graph, values: Mapping[int, Array]) -> dict[str, Array]:
    """Copies of variables by name, out of values of shape (1, *declared shape)."""
    return {graph.tensors[index].name: values[index][0].copy() for index in graph.variables}
