"""Random graphs of one operator that moves, compares, multiplies or subtracts codes; see `tests.random_graphs`."""

from typing import Any

import numpy as np

from hwsim.graph import Graph, Node, Tensor
from tests.build import codes, constant, single, tensor

Generator = np.random.Generator
Form = tuple[Any, int]


def form(g: Generator, dtype: str, low: float = 0.01) -> Form:
    """A scale and a zero point; none for dtypes whose values stand for themselves."""
    if dtype not in ("int8", "uint8", "int16"):
        return None, 0
    info = np.iinfo(dtype)
    zero_point = 0 if dtype == "int16" else int(g.integers(info.min, info.max, endpoint=True))
    return float(np.float32(g.uniform(low, 0.1))), zero_point


def sizes(g: Generator, count: int, high: int = 6) -> tuple[int, ...]:
    """A batch of 1 and `count` sizes in [1, high)."""
    return 1, *(int(v) for v in g.integers(1, high, count))


def pick(g: Generator, *values: Any) -> Any:
    """One of `values`."""
    return values[int(g.integers(len(values)))]


def value(g: Generator, dtype: str, shape: tuple[int, ...] = ()) -> Any:
    """Any values of `dtype`."""
    if dtype == "bool":
        return g.integers(0, 2, shape).astype(bool)
    return codes(g, shape, dtype) if np.dtype(dtype).kind in "iu" else g.uniform(-9, 9, shape).astype(dtype)


def moved(op: str, g: Generator, dtype: str, shape: Any, out: Any, *constants: Tensor, **options: Any) -> Graph:
    """A node whose output has the number format of its first input."""
    f = form(g, dtype)
    x, y = tensor("x", tuple(shape), dtype, *f), tensor("y", tuple(int(n) for n in out), dtype, *f)
    return single(op, [x, *constants], y, **options)


def several(op: str, inputs: list[Tensor], x: Tensor, shapes: list[tuple[int, ...]], **options: Any) -> Graph:
    """A node whose outputs, of `shapes`, have the number format of `x`."""
    outputs = [Tensor(f"y{i}_", shape, x.dtype, x.format) for i, shape in enumerate(shapes)]
    numbers = tuple(range(len(inputs))), tuple(range(len(inputs), len(inputs) + len(outputs)))
    node = Node(op, "y", *numbers, options)
    return Graph(f"one {op}", (*inputs, *outputs), (node,), (inputs.index(x),), numbers[1])


def with_size(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    """`shape` with another size along an axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def transpose(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, int(g.integers(1, 5)))
    axes = [int(a) for a in g.permutation(len(shape))]
    return moved("transpose", g, dtype, shape, [shape[a] for a in axes], constant("axes", axes))


def slice_(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, 3, 8)
    begin = [int(g.integers(0, n)) for n in shape]
    size = [int(g.integers(1, n - b + 1)) for n, b in zip(shape, begin, strict=True)]
    asked = [-1 if s == n - b and pick(g, True, False) else s for s, n, b in zip(size, shape, begin, strict=True)]
    return moved("slice", g, dtype, shape, size, constant("begin", begin), constant("size", asked))


def strided_slice(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, 3, 9)
    while True:
        begin, end = [int(g.integers(-n - 1, n + 2)) for n in shape], [int(g.integers(-n - 1, n + 2)) for n in shape]
        stride = [int(pick(g, 1, 1, 2, 3, -1, -2)) for _ in shape]
        opened, closed, dropped = (int(g.integers(0, 16)) & int(g.integers(0, 16)) for _ in range(3))
        out: list[int] = []
        for axis, n in enumerate(shape):
            bit = 1 << axis
            if dropped & bit:
                stride[axis], begin[axis] = 1, int(g.integers(-n, n))
                end[axis] = begin[axis] + 1
                continue
            where = slice(None if opened & bit else begin[axis], None if closed & bit else end[axis], stride[axis])
            out.append(len(range(n)[where]))
        if out and min(out) > 0:
            break
    masks = {"begin_mask": opened, "end_mask": closed, "shrink_axis_mask": dropped}
    masks |= {"ellipsis_mask": 0, "new_axis_mask": 0, "offset": False}
    ends = constant("begin", begin), constant("end", end), constant("strides", stride)
    return moved("strided_slice", g, dtype, shape, out, *ends, **masks)


def split(g: Generator, dtype: str) -> Graph:
    axis, count, size = int(g.integers(1, 4)), int(g.integers(1, 5)), int(g.integers(1, 4))
    shape = with_size(sizes(g, 3), axis, count * size)
    x = tensor("x", shape, dtype, *form(g, dtype))
    where = constant("axis", pick(g, axis, axis - 4))
    return several("split", [where, x], x, [with_size(shape, axis, size)] * count, num_splits=count)


def split_v(g: Generator, dtype: str) -> Graph:
    axis, parts = int(g.integers(1, 4)), [int(v) for v in g.integers(1, 4, int(g.integers(1, 5)))]
    shape = with_size(sizes(g, 3), axis, sum(parts))
    x = tensor("x", shape, dtype, *form(g, dtype))
    asked = list(parts)
    if pick(g, True, False):
        asked[int(g.integers(len(parts)))] = -1
    inputs = [x, constant("sizes", asked), constant("axis", pick(g, axis, axis - 4))]
    return several("split_v", inputs, x, [with_size(shape, axis, n) for n in parts], num_splits=len(parts))


def pack(g: Generator, dtype: str) -> Graph:
    shape, count, f = sizes(g, int(g.integers(1, 4))), int(g.integers(1, 4)), form(g, dtype)
    axis = int(g.integers(0, len(shape) + 1))
    inputs: list[Tensor | None] = [tensor(f"x{i}_", shape, dtype, *f) for i in range(count)]
    y = tensor("y", (*shape[:axis], count, *shape[axis:]), dtype, *f)
    return single("pack", inputs, y, values_count=count, axis=pick(g, axis, axis - len(shape) - 1))


def unpack(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, int(g.integers(2, 4)))
    axis = int(g.integers(0, len(shape)))
    x = tensor("x", shape, dtype, *form(g, dtype))
    shapes = [(*shape[:axis], *shape[axis + 1 :])] * shape[axis]
    return several("unpack", [x], x, shapes, num=shape[axis], axis=pick(g, axis, axis - len(shape)))


def expand_dims(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, int(g.integers(1, 4)))
    axis = int(g.integers(0, len(shape) + 1))
    where = constant("axis", pick(g, axis, axis - len(shape) - 1))
    return moved("expand_dims", g, dtype, shape, (*shape[:axis], 1, *shape[axis:]), where)


def gather(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, int(g.integers(1, 4)))
    axis = int(g.integers(0, len(shape)))
    form_of_indices = tuple(int(v) for v in g.integers(1, 4, int(pick(g, 1, 1, 2))))
    indices = constant("indices", g.integers(0, shape[axis], form_of_indices))
    out = (*shape[:axis], *form_of_indices, *shape[axis + 1 :])
    return moved("gather", g, dtype, shape, out, indices, axis=pick(g, axis, axis - len(shape)), batch_dims=0)


def space_to_depth(g: Generator, dtype: str) -> Graph:
    (_, height, width, channels), block = sizes(g, 3), int(pick(g, 2, 2, 3))
    shape, out = (1, height * block, width * block, channels), (1, height, width, channels * block * block)
    return moved("space_to_depth", g, dtype, shape, out, block_size=block)


def depth_to_space(g: Generator, dtype: str) -> Graph:
    (_, height, width, channels), block = sizes(g, 3), int(pick(g, 2, 2, 3))
    shape, out = (1, height, width, channels * block * block), (1, height * block, width * block, channels)
    return moved("depth_to_space", g, dtype, shape, out, block_size=block)


def mirror_pad(g: Generator, dtype: str) -> Graph:
    shape, mode = sizes(g, 3), pick(g, "reflect", "symmetric")
    widths = [[int(v) for v in g.integers(0, n + (mode == "symmetric"), 2)] for n in shape]
    widths[0] = [0, 0]
    out = [n + sum(w) for n, w in zip(shape, widths, strict=True)]
    return moved("mirror_pad", g, dtype, shape, out, constant("w", widths), mode=mode)


def pad_v2(g: Generator, dtype: str) -> Graph:
    shape, widths, f = sizes(g, 3), g.integers(0, 3, (4, 2)), form(g, dtype)
    widths[0] = 0
    out = tuple(int(n + w.sum()) for n, w in zip(shape, widths, strict=True))
    fill = Tensor("v", (), dtype, tensor("", (), dtype, *f).format, np.asarray(value(g, dtype), dtype))
    return single("pad_v2", [tensor("x", shape, dtype, *f), constant("w", widths), fill], tensor("y", out, dtype, *f))


def resize_nearest_neighbor(g: Generator, dtype: str) -> Graph:
    shape, (_, height, width) = sizes(g, 3, 12), sizes(g, 2, 24)
    align, half = pick(g, (False, False), (True, False), (False, True))
    options = {"align_corners": align, "half_pixel_centers": half}
    out = (1, height, width, shape[3])
    return moved("resize_nearest_neighbor", g, dtype, shape, out, constant("size", (height, width)), **options)


def _shapes(g: Generator) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast: equal, or some sizes of one of them 1."""
    first = sizes(g, int(pick(g, 1, 2, 3, 3)), 8)
    second = tuple(1 if pick(g, True, False) else n for n in first) if pick(g, True, False) else first
    return pick(g, (first, second), (second, first))


def _pair(op: str, g: Generator, dtype: str, forms: list[Form], **options: Any) -> Graph:
    """Two operands, the second at times a constant."""
    shapes = _shapes(g)
    x = tensor("a", shapes[0], dtype, *forms[0])
    constant_value = value(g, dtype, shapes[1]) if pick(g, True, False, False) else None
    second = tensor("b", shapes[1], dtype, *forms[1], data=constant_value)
    y = tensor("y", np.broadcast_shapes(*shapes), dtype, *forms[2])
    return single(op, [x, second], y, **options)


def mul(g: Generator, dtype: str) -> Graph:
    forms = [form(g, dtype) for _ in range(3)]
    real = pick(g, 0.5, 0.25, 0.375, float(g.uniform(0.001, 0.9)), float(g.uniform(0.9, 3)), 2.0**-17, 2.0**-14)
    if dtype in ("int8", "uint8"):
        forms[2] = float(np.float32(forms[0][0] * forms[1][0] / real)), forms[2][1]
    return _pair("mul", g, dtype, forms, activation=pick(g, "none", "none", "relu", "relu6", "relu_n1_to_1"))


def sub(g: Generator, dtype: str) -> Graph:
    forms = [form(g, dtype, 0.02) for _ in range(3)]
    if dtype in ("int8", "uint8") and pick(g, True, False):  # ratios with many ties
        base = forms[0][0]
        forms[1:] = [(base * pick(g, 0.5, 1.0, 2.0), forms[1][1]), (base * pick(g, 1.0, 2.0, 4.0), forms[2][1])]
    activation = pick(g, "none", "none", "relu", "relu6", "relu_n1_to_1")
    return _pair("sub", g, dtype, forms, activation=activation, pot_scale_int16=False)


def maximum(g: Generator, dtype: str) -> Graph:
    return _pair("maximum", g, dtype, [form(g, dtype)] * 3)


def minimum(g: Generator, dtype: str) -> Graph:
    return _pair("minimum", g, dtype, [form(g, dtype)] * 3)


MAKERS_MOVES = {
    maker.__name__.rstrip("_"): maker
    for maker in (
        transpose, slice_, strided_slice, split, split_v, pack, unpack, expand_dims, gather, space_to_depth,
        depth_to_space, mirror_pad, pad_v2, resize_nearest_neighbor, mul, sub, maximum, minimum,
    )
}  # fmt: skip
