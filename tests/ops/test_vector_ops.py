"""Operators in layers of the vector kernels against their portable steps, alone and joined."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hwsim
from hwsim.graph import Graph
from hwsim.graph.probes import probe_inputs
from hwsim.kernels.vector_moves import WIDE_TABLES
from hwsim.kernels.vector_tile import LANES
from hwsim.ops._base import limits
from hwsim.ops._fixed import VectorLayers
from hwsim.ops._vector_moves import lookup, move, operands
from hwsim.simulate import program
from tests.build import constant, single, tensor
from tests.random_graphs import inputs_for, many

pytestmark = pytest.mark.skipif(LANES == 0, reason="needs compiled kernels on a machine with vector instructions")

ENGINES = ("litert-reference", "litert-optimized", "xnnpack", "tflite-micro")
OPS = (
    "add", "average_pool_2d", "concatenation", "conv2d", "depth_to_space", "depthwise_conv2d", "expand_dims",
    "fully_connected", "hard_swish", "leaky_relu", "logistic", "max_pool_2d", "maximum", "mean", "minimum",
    "mul", "pad", "prelu", "quantize", "relu", "relu6", "reshape", "slice", "softmax", "space_to_depth", "split",
    "squeeze", "strided_slice", "sub", "tanh", "transpose",
)  # fmt: skip
"""Operators that have a form for the vector kernels."""


def portable(step, inputs, outputs):
    """What `fix` gives where no operator has a faster form."""
    return partial(step, inputs, outputs)


def both(monkeypatch, graph: Graph, inputs, engine: str) -> tuple[list, list, set[str]]:
    """Outputs by vector layers and by portable steps, and the kinds of those layers."""
    compiled = hwsim.compile(graph, engine)
    quick = compiled(inputs)
    (session,) = compiled._idle[len(quick[0]) // graph.tensors[graph.outputs[0]].shape[0], False]
    kinds = {kind for step in session.steps if isinstance(step, VectorLayers) for kind in step.kinds}
    with monkeypatch.context() as patched:
        patched.setattr(program, "fix", portable)
        slow = hwsim.compile(graph, engine)(inputs)
    return quick, slow, kinds


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("op", OPS)
def test_layer_equals_portable_step(monkeypatch, op, engine, dtype):
    if engine == "tflite-micro" and dtype == "uint8":
        pytest.skip("TFLM runs no uint8")
    graph = many(op, dtype, 16, seed=5)
    quick, slow, kinds = both(monkeypatch, graph, inputs_for(graph, 3, 4), engine)
    for index, one, other in zip(graph.outputs, quick, slow, strict=True):
        assert_array_equal(one, other, err_msg=graph.tensors[index].name)
    assert kinds, f"no {op} was run by vector kernels"


def elementwise(op: str, dtype: str, shapes: tuple, fixed: bool, seed: int) -> Graph:
    """A node of two operands with random formats and an activation; `fixed` makes the second one a constant."""
    g = np.random.default_rng(seed)
    low, high = limits(dtype)
    formats = [(float(np.float32(g.uniform(0.005, 0.05))), int(g.integers(low, high + 1))) for _ in range(3)]
    if op in ("maximum", "minimum"):
        formats = formats[:1] * 3
    data = g.integers(low, high + 1, shapes[1]).astype(dtype) if fixed else None
    first = tensor("a", shapes[0], dtype, *formats[0])
    second = tensor("b", shapes[1], dtype, *formats[1], data=data)
    out = np.broadcast_shapes(*shapes)
    options = {} if op in ("maximum", "minimum") else {"activation": str(g.choice(["none", "relu", "relu6"]))}
    return single(op, [first, second], tensor("y", out, dtype, *formats[2]), **options)


SHAPES = [
    ((1, 5, 7, 13), (1, 5, 7, 13)), ((1, 6, 6, 16), (1, 1, 1, 16)), ((1, 1, 1, 24), (1, 5, 4, 24)),
    ((1, 4, 9, 8), (1, 4, 9, 1)), ((1, 64), (1, 1)), ((2, 3, 40), (2, 1, 40)), ((1, 4, 5, 6), (6,)),
]  # fmt: skip


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("op", ["add", "sub", "mul", "maximum", "minimum"])
def test_operands_are_repeated_to_the_output(monkeypatch, op, engine, dtype, fixed):
    if engine == "tflite-micro" and dtype == "uint8":
        pytest.skip("TFLM runs no uint8")
    for seed, shapes in enumerate(SHAPES):
        if len(shapes[1]) == 1 and not fixed:
            continue
        graph = elementwise(op, dtype, shapes, fixed, seed)
        inputs = probe_inputs(graph, 2, seed)
        quick, slow, kinds = both(monkeypatch, graph, inputs, engine)
        assert_array_equal(quick[0], slow[0], err_msg=f"{shapes}")
        assert kinds & {"add", "multiply", "choose"}, shapes


def test_every_pair_of_codes_adds_subtracts_and_multiplies_alike(monkeypatch):
    """All 65536 pairs, for scales apart by all orders that a network has."""
    first, second = (codes.reshape(1, -1).astype(np.int8) for codes in np.meshgrid(*[np.arange(-128, 128)] * 2))
    for op in ("add", "sub", "mul"):
        for number, ratio in enumerate((1.0, 0.5, 0.9999, 0.03, 2.0**-9, 17.0)):
            scales = 0.02, 0.02 * ratio, (0.02 * (0.1 + number) if op != "mul" else 0.001 * (1 + number))
            tensors = [
                tensor(n, (1, 65536), "int8", s, z) for n, s, z in zip("aby", scales, (3, -128, 127), strict=True)
            ]
            graph = single(op, tensors[:2], tensors[2], activation="none")
            for engine in ENGINES:
                quick, slow, _ = both(monkeypatch, graph, [first, second], engine)
                assert_array_equal(quick[0], slow[0], err_msg=f"{op} {ratio} {engine}")


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1000])
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_lookup_takes_every_entry(size, dtype):
    g = np.random.default_rng(size)
    low, high = limits(dtype)
    table = g.integers(low, high + 1, 256).astype(dtype)
    source = np.resize(np.arange(low, high + 1), size).astype(dtype)
    out = np.zeros(size + 64, dtype)
    lookup(table, low, source, out[:size])()
    assert_array_equal(out[:size], table[source.astype(int) - low])
    assert not out[size:].any()


def test_wide_tables_are_used_only_with_the_default_instructions():
    assert not WIDE_TABLES or LANES == 16


VIEWS = [
    (lambda a: a[::2, 1:, ::-1], (3, 5, 7)), (lambda a: a.transpose(2, 0, 1), (7, 6, 6)), (lambda a: a[:1], (6, 6, 7)),
    (lambda a: a[1, 2, 3].reshape(1, 1, 1), (2, 2, 2)), (lambda a: a, (6, 6, 7)), (lambda a: a[:, 0:0], (6, 0, 7)),
]  # fmt: skip


@pytest.mark.parametrize(("view", "shape"), VIEWS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "float32", "int64"])
def test_move_equals_assignment(view, shape, dtype):
    source = np.arange(6 * 6 * 7).reshape(6, 6, 7).astype(dtype)
    for place in (lambda a: a[1:-1, 1:-1, 1:-1], lambda a: a[1:-1, 1:-1, 1:-1][::-1]):
        got, expected = (np.zeros([n + 2 for n in shape], dtype) for _ in range(2))
        step = move(view(source), place(got))
        for _ in range(2):
            step()
        place(expected)[...] = view(source)
        assert_array_equal(got, expected)


def test_operands_that_change_are_repeated_anew():
    changing = np.arange(6, dtype=np.int8).reshape(2, 1, 3)
    (repeated,), before = operands([changing], (4, 3))
    changing[...] += 10
    for step in before:
        step()
    assert_array_equal(repeated, np.broadcast_to(changing, (2, 4, 3)))


def test_neighbouring_operators_are_one_call(monkeypatch):
    """Of a chain through every kind of layer, nothing is left to Python."""
    shape = (1, 6, 6, 16)
    images = [tensor(f"t{i}", shape, "int8", 0.05, -3) for i in range(6)]
    pooled, rows, out = tensor("p", (1, 16), "int8", 0.05, -3), tensor("r", (1, 16), "int8", 0.05, -3), None
    out = tensor("y", (1, 16), "int8", 1 / 256, -128)
    axes = constant("axes", np.array([1, 2], np.int32))
    parts = [
        single("add", [images[0], images[1]], images[2], activation="none"),
        single("relu", [images[2]], images[3]),
        single("maximum", [images[3], images[1]], images[4]),
        single("mul", [images[4], images[1]], images[5], activation="relu"),
        single("mean", [images[5], axes], pooled, keep_dims=False),
        single("reshape", [pooled, constant("s", np.array([1, 16], np.int32))], rows),
        single("softmax", [rows], out, beta=1.0),
    ]
    graph = chained(parts)
    quick, slow, kinds = both(monkeypatch, graph, probe_inputs(graph, 1), "litert-reference")
    assert_array_equal(quick[0], slow[0])
    assert kinds == {"add", "lookup", "choose", "multiply", "mean", "copy", "softmax"}


def chained(parts: list[Graph]) -> Graph:
    """One graph of `parts`, whose tensors of one name are one tensor."""
    tensors = {t.name: t for part in parts for t in part.tensors}
    number = {name: i for i, name in enumerate(tensors)}
    nodes = []
    for part in parts:
        for node in part.nodes:
            places = [tuple(number[part.tensors[i].name] for i in side) for side in (node.inputs, node.outputs)]
            nodes.append(type(node)(node.op, node.name, *places, node.attributes))
    made = {i for node in nodes for i in node.outputs}
    used = {i for node in nodes for i in node.inputs}
    loose = tuple(i for i in sorted(used - made) if list(tensors.values())[i].data is None)
    return Graph("chain", tuple(tensors.values()), tuple(nodes), loose, tuple(sorted(made - used)))
