"""Random graphs of operators on plain numbers, as they stand between the layers of a network; see
`tests.random_graphs`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.graph import Graph, Tensor
from tests.build import constant, single
from tests.random_moves import _shapes, pick, sizes, with_size

Generator = np.random.Generator
Maker = Callable[[Generator, str], Graph]


def numbers(g: Generator, dtype: str, shape: tuple[int, ...] = ()) -> Any:
    """Numbers of a size that networks have, among integers neither 0 nor -1, by which engines do not divide."""
    if dtype == "bool":
        return g.integers(0, 2, shape).astype(bool)
    if dtype == "float32":
        return g.uniform(-9, 9, shape).astype(dtype)
    most = 9 if dtype in ("int8", "uint8") else 999
    return np.asarray(g.integers(2, most, shape) * (g.choice([-1, 1], shape) if dtype[0] == "i" else 1)).astype(dtype)


def pair(op: str, activation: bool = False, divides: bool = False) -> Maker:
    def make(g: Generator, dtype: str) -> Graph:
        """The second operand is constant, of floats at times the first, or none."""
        shapes, names = _shapes(g), ["a", "b"]
        inputs = [Tensor(n, s, dtype) for n, s in zip(names, shapes, strict=True)]
        fixed = 1 if dtype != "float32" or divides else int(pick(g, 0, 1, 1, 2))
        if fixed < 2:
            value = np.ascontiguousarray(numbers(g, dtype, shapes[fixed]))
            inputs[fixed] = Tensor(names[fixed], shapes[fixed], dtype, None, value)
        given = {"activation": pick(g, "none", "none", "relu", "relu6", "relu_n1_to_1")} if activation else {}
        return single(op, inputs, Tensor("y", np.broadcast_shapes(*shapes), dtype), **given)

    make.__name__ = op
    return make


def unary(op: str, **options: Any) -> Maker:
    def make(g: Generator, dtype: str) -> Graph:
        shape = sizes(g, 3, 6)
        return single(op, [Tensor("x", shape, dtype)], Tensor("y", shape, dtype), **options)

    make.__name__ = op
    return make


def prelu(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, 3, 6)
    alpha = Tensor("a", (1, 1, shape[3]), dtype, None, g.uniform(-1, 1, (1, 1, shape[3])).astype(dtype))
    return single("prelu", [Tensor("x", shape, dtype), alpha], Tensor("y", shape, dtype))


def leaky_relu(g: Generator, dtype: str) -> Graph:
    return unary("leaky_relu", alpha=float(np.float32(g.uniform(0, 0.5))))(g, dtype)


def reduction(op: str) -> Maker:
    def make(g: Generator, dtype: str) -> Graph:
        shape, keep = sizes(g, 3, 7), bool(pick(g, True, False))
        axes = pick(g, (1, 2), (3,), (1,), (1, 2, 3), (-1,), (2, 3))
        gone = {axis % 4 for axis in axes}
        out = tuple(1 if i in gone else n for i, n in enumerate(shape) if keep or i not in gone)
        return single(op, [Tensor("x", shape, dtype), constant("axes", axes)], Tensor("y", out, dtype), keep_dims=keep)

    make.__name__ = op
    return make


def concatenation(g: Generator, dtype: str) -> Graph:
    axis, shape = int(pick(g, 1, 2, 3)), sizes(g, 3, 6)
    parts = [int(n) for n in g.integers(1, 5, 2)]
    inputs = [Tensor(n, with_size(shape, axis, size), dtype) for n, size in zip("ab", parts, strict=True)]
    y = Tensor("y", with_size(shape, axis, sum(parts)), dtype)
    return single("concatenation", inputs, y, axis=axis, activation="none")


def pad(g: Generator, dtype: str) -> Graph:
    shape, widths = sizes(g, 3, 6), g.integers(0, 3, (4, 2))
    widths[0] = 0
    out = tuple(int(n + w.sum()) for n, w in zip(shape, widths, strict=True))
    return single("pad", [Tensor("x", shape, dtype), constant("w", widths)], Tensor("y", out, dtype))


MAKERS_NUMBERS: dict[str, Maker] = {
    maker.__name__: maker
    for maker in (
        *(pair(op, True, op == "div") for op in ("add", "mul", "sub", "div")),
        *(pair(op) for op in ("maximum", "minimum", "squared_difference")),
        *(unary(op) for op in ("abs", "relu", "relu6", "relu_n1_to_1", "rsqrt")),
        prelu, leaky_relu, concatenation, pad, *(reduction(op) for op in ("sum", "mean")),
    )
}  # fmt: skip

PLAIN = {
    **dict.fromkeys(MAKERS_NUMBERS, ("float32",)),
    **dict.fromkeys(("add", "sub", "mul", "sum", "mean"), ("int32", "int64", "float32")),
    **dict.fromkeys(("div", "squared_difference", "abs"), ("int32", "float32")),
    **dict.fromkeys(("maximum", "minimum"), ("int8", "uint8", "int16", "int32", "int64", "float32")),
    **dict.fromkeys(("concatenation", "pad"), ("int32", "int64", "float32", "bool")),
}
"""What any engine takes of plain numbers, as measured."""
