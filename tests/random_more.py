"""Random graphs of one operator: reductions, comparisons, functions, blocks and state; see `tests.random_graphs`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.graph import Affine, Graph, Node, Tensor
from tests.build import codes, constant, single, tensor
from tests.random_activations import _scales, _shape
from tests.random_activations import _zero_point as _any_zero_point
from tests.random_moves import _pair, form, moved, pick, sizes, value

Generator = np.random.Generator
Maker = Callable[[Generator, str], Graph]


def _zero_point(g: Generator, dtype: str) -> int:
    return 0 if dtype == "int16" else _any_zero_point(g, dtype)


def _one(op: str, g: Generator, dtype: str, **options: Any) -> Graph:
    declared, (source, target) = _shape(g), _scales(g)
    x = tensor("x", declared, dtype, source, _zero_point(g, dtype))
    return single(op, [x], tensor("y", declared, dtype, target, _zero_point(g, dtype)), **options)


def _reduction(op: str, g: Generator, dtype: str, same: bool) -> Graph:
    shape, keep = sizes(g, 3, 7), bool(pick(g, True, False))
    axes = pick(g, (1, 2), (3,), (1,), (1, 2, 3), (-1,), (2, 3))
    gone = {axis % 4 for axis in axes}
    out = tuple(1 if i in gone else n for i, n in enumerate(shape) if keep or i not in gone)
    first = form(g, dtype)
    second = first if same or pick(g, True, False, False, False) else form(g, dtype)
    if not same and dtype != "float32" and pick(g, True, False):
        second = (float(np.float32(first[0] * g.uniform(1, 20))), second[1])
    x, y = tensor("x", shape, dtype, *first), tensor("y", out, dtype, *second)
    return single(op, [x, constant("axes", axes)], y, keep_dims=keep)


def sum_(g: Generator, dtype: str) -> Graph:
    return _reduction("sum", g, dtype, same=False)


def reduce_max(g: Generator, dtype: str) -> Graph:
    return _reduction("reduce_max", g, dtype, same=True)


def reduce_min(g: Generator, dtype: str) -> Graph:
    return _reduction("reduce_min", g, dtype, same=True)


def arg_min(g: Generator, dtype: str) -> Graph:
    shape, axis = sizes(g, 3, 9), int(pick(g, 1, 2, 3))
    out = tuple(n for i, n in enumerate(shape) if i != axis)
    x, y = tensor("x", shape, dtype, *form(g, dtype)), Tensor("y", out, "int32")
    return single("arg_min", [x, constant("axis", axis)], y, output_type="int32")


def div(g: Generator, dtype: str) -> Graph:
    """Divisors are constant, and not 0."""
    forms = [form(g, dtype) for _ in range(3)]
    forms[2] = float(np.float32(forms[0][0] / forms[1][0] / 10 ** g.uniform(0, 2))), forms[2][1]
    graph = _pair("div", g, dtype, forms, activation=pick(g, "none", "none", "relu", "relu6"))
    second = graph.tensors[1]
    data = value(g, dtype, second.shape) if second.data is None else second.data
    clean = np.where(data == forms[1][1], data - 1 if forms[1][1] > 0 else data + 1, data)
    tensors = (graph.tensors[0], Tensor("b", second.shape, dtype, second.format, clean.astype(dtype)), graph.tensors[2])
    return Graph(graph.name, tensors, graph.nodes, (0,), graph.outputs)


def squared_difference(g: Generator, dtype: str) -> Graph:
    forms = [form(g, dtype, 0.02) for _ in range(3)]
    reach = 255 if dtype != "int16" else 65535
    forms[2] = float(np.float32((forms[0][0] + forms[1][0]) ** 2 * reach * g.uniform(0.05, 0.6))), forms[2][1]
    return _pair("squared_difference", g, dtype, forms)


def _comparison(op: str) -> Maker:
    def make(g: Generator, dtype: str) -> Graph:
        first = form(g, dtype)
        graph = _pair(op, g, dtype, [first, first if pick(g, True, False) else form(g, dtype), (None, 0)])
        *inputs, y = graph.tensors
        return Graph(graph.name, (*inputs, Tensor("y", y.shape, "bool")), graph.nodes, graph.inputs, graph.outputs)

    make.__name__ = op
    return make


def _logical(op: str) -> Maker:
    def make(g: Generator, dtype: str) -> Graph:
        return _pair(op, g, "bool", [(None, 0)] * 3)

    make.__name__ = op
    return make


def logical_not(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, 3, 6)
    return single("logical_not", [Tensor("x", shape, "bool")], Tensor("y", shape, "bool"))


def l2_normalization(g: Generator, dtype: str) -> Graph:
    shape = (1, int(g.integers(1, 5)), int(g.integers(1, 40)))
    x = tensor("x", shape, dtype, *form(g, dtype))
    return single("l2_normalization", [x], tensor("y", shape, dtype, 1 / 128, 0 if dtype == "int8" else 128),
                  activation="none")  # fmt: skip


def rsqrt(g: Generator, dtype: str) -> Graph:
    """A zero point below all codes: engines refuse negative values."""
    shape, scale = _shape(g), float(np.float32(10 ** g.uniform(-3, 0)))
    x = tensor("x", shape, dtype, scale, np.iinfo(dtype).min if dtype != "int16" else 0)
    largest = 1 / np.sqrt(scale) / 127 * g.uniform(0.1, 2)
    return single(
        "rsqrt",
        [x],
        tensor("y", shape, dtype, float(np.float32(largest)), _zero_point(g, dtype) if dtype != "int16" else 0),
    )


def abs_(g: Generator, dtype: str) -> Graph:
    return _one("abs", g, dtype)


def exp(g: Generator, dtype: str) -> Graph:
    shape, zero = _shape(g), _zero_point(g, dtype)
    scale = float(np.float32(10 ** g.uniform(-3, -1.3) / (256 if dtype == "int16" else 1)))
    top = float(np.exp(scale * (np.iinfo(dtype).max - zero)))
    y = tensor("y", shape, dtype, float(np.float32(top / (32767 if dtype == "int16" else 255) * g.uniform(0.5, 2))),
               0 if dtype == "int16" else np.iinfo(dtype).min)  # fmt: skip
    return single("exp", [tensor("x", shape, dtype, scale, zero)], y)


def elu(g: Generator, dtype: str) -> Graph:
    return _one("elu", g, dtype)


def gelu(g: Generator, dtype: str) -> Graph:
    return _one("gelu", g, dtype, approximate=bool(pick(g, True, False)))


def tile(g: Generator, dtype: str) -> Graph:
    shape = sizes(g, int(g.integers(1, 4)), 5)
    copies = [1, *(int(v) for v in g.integers(1, 4, len(shape) - 1))]
    return moved("tile", g, dtype, shape, [n * c for n, c in zip(shape, copies, strict=True)], constant("n", copies))


def broadcast_to(g: Generator, dtype: str) -> Graph:
    wanted = sizes(g, int(g.integers(1, 4)), 5)
    shape = tuple(pick(g, n, 1) for n in wanted)
    return moved("broadcast_to", g, dtype, shape, wanted, constant("shape", wanted))


def fill(g: Generator, dtype: str) -> Graph:
    """Its value is a graph's input, of one element."""
    shape, f = sizes(g, 3, 5), form(g, dtype)
    x, y = tensor("x", (), dtype, *f), tensor("y", shape, dtype, *f)
    x = Tensor("x", (), dtype, x.format, np.asarray(value(g, dtype), dtype))
    return single("fill", [constant("shape", shape), x], y)


def shape(g: Generator, dtype: str) -> Graph:
    declared = sizes(g, int(g.integers(1, 4)))
    x, y = tensor("x", declared, dtype, *form(g, dtype)), Tensor("y", (len(declared),), "int32")
    return single("shape", [x], y, out_type="int32")


def reverse_v2(g: Generator, dtype: str) -> Graph:
    declared = sizes(g, int(g.integers(1, 4)))
    axis = int(g.integers(0, len(declared)))
    return moved("reverse_v2", g, dtype, declared, declared, constant("axis", [axis]))


def _space(g: Generator) -> tuple[tuple[int, int], list[int]]:
    return (int(pick(g, 1, 2, 3)), int(pick(g, 1, 2))), [int(v) for v in g.integers(1, 5, 3)]


def space_to_batch_nd(g: Generator, dtype: str) -> Graph:
    block, (height, width, depth) = _space(g)
    before = [int(g.integers(0, 2)) for _ in block]
    after = [-(n + b) % s for n, b, s in zip((height, width), before, block, strict=True)]
    padded = [n + b + a for n, b, a in zip((height, width), before, after, strict=True)]
    out = (block[0] * block[1], padded[0] // block[0], padded[1] // block[1], depth)
    pads = constant("p", list(zip(before, after, strict=True)))
    return moved("space_to_batch_nd", g, dtype, (1, height, width, depth), out, constant("b", block), pads)


def batch_to_space_nd(g: Generator, dtype: str) -> Graph:
    block, (height, width, depth) = _space(g)
    crops = [[int(g.integers(0, 2)) if n * s > 2 else 0, 0] for n, s in zip((height, width), block, strict=True)]
    out = (1, *(n * s - sum(c) for n, s, c in zip((height, width), block, crops, strict=True)), depth)
    declared = (block[0] * block[1], height, width, depth)
    return moved("batch_to_space_nd", g, dtype, declared, out, constant("b", block), constant("c", crops))


def cast(g: Generator, dtype: str) -> Graph:
    declared, target = sizes(g, 3, 6), pick(g, "int8", "int32", "float32", "bool", "int16")
    x, y = Tensor("x", declared, dtype), Tensor("y", declared, target)
    return single("cast", [x], y, in_data_type=dtype, out_data_type=target)


def neg(g: Generator, dtype: str) -> Graph:
    declared = sizes(g, 3, 6)
    kind = dtype if dtype in ("int32", "int64", "float32") else "float32"
    return single("neg", [Tensor("x", declared, kind)], Tensor("y", declared, kind))


def select_v2(g: Generator, dtype: str) -> Graph:
    full = sizes(g, 3, 6)
    shapes = [tuple(pick(g, n, n, 1) for n in full) for _ in range(3)] if pick(g, True, False) else [full] * 3
    f, out = form(g, dtype), np.broadcast_shapes(*shapes)
    inputs = [Tensor("c", shapes[0], "bool"), tensor("a", shapes[1], dtype, *f), tensor("b", shapes[2], dtype, *f)]
    return single("select_v2", inputs, tensor("y", out, dtype, *f))


def read_variable(g: Generator, dtype: str) -> Graph:
    """A delay of one step: what is read was assigned the step before."""
    declared, f = sizes(g, 2, 5), form(g, dtype)
    x, y = tensor("x", declared, dtype, *f), tensor("y", declared, dtype, *f)
    first = value(g, dtype, declared).astype(dtype)
    variable = Tensor("v", declared, dtype, x.format, is_variable=True, initial=first)
    nodes = Node("read_variable", "y", (1,), (2,), {}), Node("assign_variable", "set", (1, 0), (), {})
    return Graph("delay", (x, variable, y), nodes, (0,), (2,))


def assign_variable(g: Generator, dtype: str) -> Graph:
    """What is read was assigned just before."""
    graph = read_variable(g, dtype)
    return Graph("echo", graph.tensors, graph.nodes[::-1], graph.inputs, graph.outputs)


def svdf(g: Generator, dtype: str) -> Graph:
    """With a state of int16, of int8 for 'int8_state'."""
    depth, rank, units, memory = (int(v) for v in g.integers(1, 9, 4))
    filters, state_dtype = rank * units, "int16" if dtype == "int8" else "int8"
    x = tensor("x", (1, depth), "int8", *form(g, "int8"))
    features = tensor("f", (filters, depth), "int8", float(g.uniform(0.002, 0.02)), data=codes(g, (filters, depth)))
    times = tensor("t", (filters, memory), state_dtype, float(g.uniform(0.0005, 0.004)),
                   data=codes(g, (filters, memory), state_dtype))  # fmt: skip
    fine = 32767 if state_dtype == "int16" else 127
    reach = x.scale * features.scale * 74 * 74 * np.sqrt(depth)
    coarse = [bool(pick(g, True, False, False)) for _ in range(2)]  # multipliers that tell roundings apart
    into = x.scale * features.scale / g.uniform(0.05, 0.7) if coarse[0] else reach * g.uniform(1, 4) / fine
    state = tensor("s", (1, filters * memory), state_dtype, float(np.float32(into)),
                   0 if state_dtype == "int16" else int(g.integers(-20, 20)))  # fmt: skip
    state = Tensor("s", state.shape, state_dtype, state.format, is_variable=True)
    bias = tensor("b", (units,), "int32", float(np.float32(state.scale * times.scale)),
                  data=g.integers(-20000, 20000, units))  # fmt: skip
    far = reach * times.scale * (fine / 1.7) * np.sqrt(rank * memory) / 127 * g.uniform(0.3, 1)
    far = state.scale * times.scale / g.uniform(0.05, 0.7) if coarse[1] else far
    y = tensor("y", (1, units), "int8", float(np.float32(far)), int(g.integers(-128, 128)))
    return single("svdf", [x, features, times, bias, state], y, rank=rank, activation="relu")


def unidirectional_sequence_lstm(g: Generator, dtype: str) -> Graph:
    """Inputs 0 to 23 of the schema; LiteRT wants the scales of five tensors between."""
    batch, steps, depth, cells = (int(v) for v in g.integers(1, 7, 4))
    kind = "int8" if dtype in ("int8", "uint8") else "int16"
    x = tensor("x", (batch, steps, depth), kind, *(form(g, kind) if kind == "int8" else (1 / 32768 * 4, 0)))
    hidden_form = (1 / 128, int(g.integers(-20, 20))) if kind == "int8" else (1 / 32768, 0)
    inputs: list[Tensor | None] = [x, *[None] * 23]
    for gate in range(4):
        for first, columns in ((1, depth), (5, cells)):
            shape = cells, columns
            scale = float(g.uniform(0.002, 0.02))
            inputs[first + gate] = tensor(f"w{first + gate}_", shape, "int8", scale, data=codes(g, shape))
        bias_scale = float(np.float32(x.scale * inputs[1 + gate].scale))  # type: ignore[union-attr]
        inputs[12 + gate] = tensor(f"b{gate}_", (cells,), "int32" if kind == "int8" else "int64", bias_scale,
                                   data=g.integers(-3000, 3000, cells))  # fmt: skip
    hidden = Tensor("h", (batch, cells), kind, Affine.per_tensor(*hidden_form), is_variable=True)
    cell = Tensor("c", (batch, cells), "int16", Affine.per_tensor(2.0 ** -int(g.integers(9, 16))), is_variable=True)
    inputs[18:20] = [hidden, cell]
    y = tensor("y", (batch, steps, cells), kind, *hidden_form)
    graph = single("unidirectional_sequence_lstm", inputs, y, activation="tanh",
                   cell_clip=float(pick(g, 0.0, 0.0, 2.5)), proj_clip=0.0,
                   time_major=False, asymmetric_quantize_inputs=False)  # fmt: skip
    between = [Tensor(f"i{k}_", (0,), "float32") for k in range(4)]
    between.append(Tensor("i4_", (0,), kind, Affine.per_tensor(*hidden_form)))
    count = len(graph.tensors)
    node = graph.nodes[0]
    attributes = {**node.attributes, "intermediates": tuple(range(count, count + 5))}
    moved_node = Node(node.op, node.name, node.inputs, node.outputs, attributes)
    return Graph(graph.name, (*graph.tensors, *between), (moved_node,), graph.inputs[:1], graph.outputs)


COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")

MAKERS_MORE: dict[str, Maker] = {
    maker.__name__.rstrip("_"): maker
    for maker in (
        sum_, reduce_max, reduce_min, arg_min, div, squared_difference, l2_normalization, rsqrt, abs_, exp, elu, gelu,
        tile, broadcast_to, fill, shape, reverse_v2, space_to_batch_nd, batch_to_space_nd, cast, neg, select_v2,
        logical_not, read_variable, assign_variable, svdf, unidirectional_sequence_lstm,
        *(_comparison(op) for op in COMPARISONS), *(_logical(op) for op in ("logical_and", "logical_or")),
    )
}  # fmt: skip

CODES, NUMBERS = ("int8", "uint8", "int16"), ("int32", "int64", "float32")
LITERT = {
    **dict.fromkeys(MAKERS_MORE, (*CODES, *NUMBERS, "bool")),
    **dict.fromkeys(COMPARISONS, (*CODES, *NUMBERS)),
    **dict.fromkeys(("equal", "not_equal"), (*CODES, *NUMBERS, "bool")),
    **dict.fromkeys(("logical_and", "logical_or", "logical_not"), ("bool",)),
    **dict.fromkeys(("reduce_max", "reduce_min", "space_to_batch_nd", "batch_to_space_nd"), (*CODES, *NUMBERS)),
    **dict.fromkeys(("rsqrt", "abs", "exp"), ("int8", "int16")),
    "sum": CODES,
    "arg_min": ("int8", "uint8", "int32", "float32"),
    "div": CODES,
    "squared_difference": ("int8",),
    "l2_normalization": ("int8", "uint8"),
    "elu": ("int8",),
    "gelu": CODES,
    "neg": NUMBERS,
    "svdf": ("int8",),
    "unidirectional_sequence_lstm": ("int8",),
}
"""What LiteRT's optimized kernels take, as measured."""

MICRO_ONLY = {
    "squared_difference": ("int16",),
    "svdf": ("int8_state",),
    "unidirectional_sequence_lstm": ("int16",),
}
"""What TensorFlow Lite Micro takes besides."""

STATEFUL = ("svdf", "unidirectional_sequence_lstm", "read_variable", "assign_variable")
