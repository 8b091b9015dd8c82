"""One-operator graphs for tests."""

from typing import Any

import numpy as np

from hwsim.graph import Affine, Graph, Node, Tensor

GENERATOR_SEED = 20261121


def tensor(name: str, shape: tuple[int, ...], dtype: str = "int8", scale: Any = 0.1, zero_point: int = 0,
           axis: int | None = None, data: Any = None) -> Tensor:  # fmt: skip
    """A quantized tensor; `scale` None for plain integers, an array for a per-channel one."""
    if scale is None:
        form = None
    elif axis is None:
        form = Affine.per_tensor(float(scale), zero_point)
    else:
        form = Affine.per_channel(np.asarray(scale), axis)
    return Tensor(name, shape, dtype, form, None if data is None else np.ascontiguousarray(data, dtype))


def constant(name: str, values: Any, dtype: str = "int32") -> Tensor:
    """A constant without a scale."""
    array = np.asarray(values, dtype)
    return Tensor(name, array.shape, dtype, None, array)


def single(op: str, inputs: list[Tensor | None], output: Tensor, **attributes: Any) -> Graph:
    """A graph of one node; inputs without data are the graph's inputs."""
    present = [t for t in inputs if t is not None]
    tensors = (*present, output)
    where = [-1 if t is None else present.index(t) for t in inputs]
    node = Node(op, output.name, tuple(where), (len(tensors) - 1,), attributes)
    given = tuple(i for i, t in enumerate(present) if t.data is None and not t.is_variable)
    return Graph(f"one {op}", tensors, (node,), given, (len(tensors) - 1,))


def codes(generator: np.random.Generator, shape: tuple[int, ...], dtype: str = "int8") -> Any:
    """Uniform random codes of the whole range of `dtype`."""
    info = np.iinfo(dtype)
    return generator.integers(info.min, info.max, shape, dtype, endpoint=True)
