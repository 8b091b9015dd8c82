"""Random graphs of what stands between the layers of a network: indices, counts and functions of plain numbers; see
`tests.random_graphs`.
"""

from collections.abc import Callable

import numpy as np

from hwsim.graph import Graph, Node, Tensor
from tests.build import constant, single, tensor
from tests.random_moves import form, moved, pick, sizes, value
from tests.random_numbers import numbers, pair, reduction, unary

Generator = np.random.Generator
Maker = Callable[[Generator, str], Graph]


def gather_nd(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, int(g.integers(1, 4)), 6)
    depth = int(g.integers(1, len(shape) + 1))
    lines = sizes(g, int(g.integers(1, 3)), 5)
    indices = constant("i", [[*(int(g.integers(n)) for n in shape[:depth])] for _ in range(int(np.prod(lines)))])
    indices = constant("i", np.reshape(indices.data, (*lines, depth)), "int32")  # type: ignore[arg-type]
    return moved("gather_nd", g, dtype, shape, (*lines, *shape[depth:]), indices)


def scatter_nd(g: Generator, dtype: str) -> Graph:
    """Several on one place at times."""
    shape = sizes(g, int(g.integers(1, 4)), 5)
    depth, count = int(g.integers(1, len(shape) + 1)), int(g.integers(1, 9))
    indices = constant("i", np.stack([g.integers(0, n, count) for n in shape[:depth]], axis=1))
    updates = Tensor("u", (count, *shape[depth:]), dtype, None, np.asarray(numbers(g, dtype, (count, *shape[depth:]))))
    return single("scatter_nd", [indices, updates, constant("s", shape)], Tensor("y", shape, dtype))


def topk_v2(g: Generator, dtype: str) -> Graph:
    shape, f = sizes(g, 2, 12), form(g, dtype)
    count = int(g.integers(1, shape[-1] + 1))
    x, k = tensor("x", shape, dtype, *f), constant("k", count)
    outputs = tensor("y0_", (*shape[:-1], count), dtype, *f), Tensor("y1_", (*shape[:-1], count), "int32")
    return Graph("topk", (x, k, *outputs), (Node("topk_v2", "y", (0, 1), (2, 3), {}),), (0,), (2, 3))


def cumsum(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, 3, 6)
    options = {"exclusive": bool(g.integers(2)), "reverse": bool(g.integers(2))}
    x, axis = Tensor("x", shape, dtype), constant("axis", int(g.integers(-4, 4)))
    return single("cumsum", [x, axis], Tensor("y", shape, dtype), **options)


def add_n(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, 3, 6)
    inputs: list[Tensor | None] = [Tensor(f"x{k}_", shape, dtype) for k in range(int(g.integers(2, 5)))]
    return single("add_n", inputs, Tensor("y", shape, dtype))


def range_(g: Generator, dtype: str) -> Graph:
    start, step = int(g.integers(-9, 9)), int(pick(g, -3, -1, 1, 2))
    ends = [start, start + step * int(g.integers(1, 9)), step]
    if dtype == "float32":
        ends = [float(np.float32(v * 0.3)) for v in ends]  # type: ignore[misc]
    one, other, by = (np.asarray(v, dtype) for v in ends)
    count = int(np.ceil(abs((other - one) / by)))
    return single("range", [constant(n, v, dtype) for n, v in zip("abc", ends, strict=True)],
                  Tensor("y", (count,), dtype))  # fmt: skip


def one_hot(g: Generator, dtype: str) -> Graph:
    shape, depth = sizes(g, 2, 6), int(g.integers(1, 7))
    axis = int(g.integers(-1, len(shape) + 1))
    indices = constant("i", g.integers(-1, depth + 1, shape), str(pick(g, "int32", "int64")))
    values: list[Tensor | None] = [constant("on", numbers(g, dtype), dtype), constant("off", numbers(g, dtype), dtype)]
    place = axis % (len(shape) + 1)
    y = Tensor("y", (*shape[:place], depth, *shape[place:]), dtype)
    return single("one_hot", [indices, constant("d", depth), *values], y, axis=axis)


def rank(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, int(g.integers(1, 4)))
    return single("rank", [tensor("x", shape, dtype, *form(g, dtype))], Tensor("y", (), "int32"))


def select(g: Generator, dtype: str) -> Graph:
    shape, f = sizes(g, 3, 6), form(g, dtype)
    condition = Tensor("c", pick(g, shape, shape[:1]), "bool")
    inputs = [condition, tensor("a", shape, dtype, *f), tensor("b", shape, dtype, *f)]
    return single("select", inputs, tensor("y", shape, dtype, *f))


def dynamic_update_slice(g: Generator, dtype: str) -> Graph:
    shape, f = sizes(g, 3, 7), form(g, dtype)
    part = tuple(int(g.integers(1, n + 1)) for n in shape)
    start = constant("s", [int(g.integers(-2, n + 2)) for n in shape])
    update = tensor("u", part, dtype, *f, data=value(g, dtype, part))
    return single("dynamic_update_slice", [tensor("x", shape, dtype, *f), update, start], tensor("y", shape, dtype, *f))


MAKERS_GLUE: dict[str, Maker] = {
    maker.__name__.rstrip("_"): maker
    for maker in (
        gather_nd, scatter_nd, topk_v2, cumsum, add_n, range_, one_hot, rank, select, dynamic_update_slice,
        *(unary(op) for op in ("sqrt", "square", "floor", "ceil", "round", "sign", "zeros_like")),
        *(pair(op, divides=True) for op in ("floor_div", "floor_mod")),
        *(reduction(op) for op in ("reduce_prod", "reduce_any", "reduce_all")),
    )
}  # fmt: skip


EVERYTHING = ("int8", "uint8", "int16", "int32", "int64", "float32", "bool")
GLUE = {
    **dict.fromkeys(MAKERS_GLUE, ("float32",)),
    **dict.fromkeys(("gather_nd", "select", "dynamic_update_slice", "rank"), EVERYTHING),
    **dict.fromkeys(("scatter_nd", "one_hot"), ("int8", "uint8", "int32", "int64", "float32", "bool")),
    "topk_v2": EVERYTHING[:-1],
    **dict.fromkeys(("cumsum", "range", "reduce_prod"), ("int32", "int64", "float32")),
    **dict.fromkeys(("add_n", "sign"), ("int32", "float32")),
    **dict.fromkeys(("reduce_any", "reduce_all"), ("bool",)),
    "zeros_like": ("int8", "int32", "int64", "float32"),
    "floor_div": ("int8", "int16", "int32", "float32"),
    "floor_mod": ("int8", "int16", "int32", "int64", "float32"),
}
"""What any engine takes, as measured."""
