"""Operators on plain numbers, of indices and of counts, in every dtype that engines take: against slow oracles and
against the real engines.
"""

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError, UnsupportedError
from hwsim.graph import Graph, Node, Tensor
from hwsim.verify.reference import installed
from tests.build import constant, tensor
from tests.oracle_glue import HANDLERS_GLUE, HANDLERS_NUMBERS
from tests.random_glue import GLUE, MAKERS_GLUE
from tests.random_graphs import beside, inputs_for
from tests.random_numbers import MAKERS_NUMBERS, PLAIN

ENGINES = ("litert-reference", "litert-optimized", "xnnpack", "tflite-micro")
MAKERS, HANDLERS, TAKES = MAKERS_GLUE | MAKERS_NUMBERS, HANDLERS_GLUE | HANDLERS_NUMBERS, GLUE | PLAIN

MICRO = {
    **dict.fromkeys(("sqrt", "square", "floor", "ceil", "round", "floor_div", "floor_mod"), ("float32",)),
    **dict.fromkeys(("cumsum", "add_n", "abs", "sum", "mean"), ("float32",)),
    **dict.fromkeys(("add", "sub", "mul", "div", "squared_difference"), ("int32", "float32")),
    **dict.fromkeys(("maximum", "minimum"), ("int8", "int16", "int32", "int64", "float32")),
    **dict.fromkeys(("relu", "relu6", "prelu", "leaky_relu", "rsqrt"), ("float32",)),
    "concatenation": ("int32", "int64", "float32", "bool"),
    "pad": ("int32", "float32"),
    "gather_nd": ("int8", "float32"),
    "reduce_all": ("bool",),
    "zeros_like": ("int8", "int32", "int64", "float32"),
    "dynamic_update_slice": ("int8", "int16", "int32", "float32"),
}  # fmt: skip
"""What TensorFlow Lite Micro takes of it, as measured."""

LACKS = {
    "litert-reference": {"ceil": ("float32",), "round": ("float32",), "zeros_like": ("int8",)},
    "litert-optimized": {"mean": ("float32",), "zeros_like": ("int8",)},
    "xnnpack": {**dict.fromkeys(("mean", "sum", "sqrt", "rsqrt"), ("float32",)), "zeros_like": ("int8",)},
}
"""What LiteRT refuses, or computes in a way of the machine's own."""

EVERY = [(op, dtype, engine) for engine in ENGINES for op in sorted(MAKERS) for dtype in TAKES[op]]
CASES = [
    (op, dtype, engine)
    for op, dtype, engine in EVERY
    if (dtype in MICRO.get(op, ()) if engine == "tflite-micro" else dtype not in LACKS[engine].get(op, ()))
]


def many(op, dtype, count):
    g = np.random.default_rng([*op.encode(), *dtype.encode()])
    return beside([_made(op, dtype, g) for _ in range(count)], f"{count} {op} {dtype}")


def _made(op, dtype, g):
    """Without the activation that TFLM ignores in int32 sums."""
    while True:
        graph = MAKERS[op](g, dtype)
        if (op, dtype) != ("add", "int32") or graph.nodes[0].attributes["activation"] == "none":
            return graph


@pytest.mark.parametrize(("op", "dtype", "engine"), sorted(set(EVERY) - set(CASES)))
def test_an_engine_refuses_what_it_lacks(op, dtype, engine):
    with pytest.raises(UnsupportedError):
        hwsim.compile(many(op, dtype, 12), engine)


@pytest.mark.parametrize(("op", "dtype"), sorted({case[:2] for case in CASES}))
def test_operator_equals_the_oracle(op, dtype):
    engine = next(case[2] for case in CASES if case[:2] == (op, dtype))
    for seed in range(4):
        graph = _made(op, dtype, np.random.default_rng([seed, *op.encode()]))
        inputs = [x[:1] for x in inputs_for(graph, 1, seed)]
        given, node = dict(zip(graph.inputs, inputs, strict=True)), graph.nodes[0]
        tensors = [graph.tensors[i] for i in node.inputs]
        values = [given.get(i, graph.tensors[i].data) for i in node.inputs]
        output = graph.tensors[node.outputs[0]]
        got = hwsim.simulate(graph, inputs, engine).outputs[0]
        expected = HANDLERS[op](node.attributes, tensors, values, output, engine)
        np.testing.assert_array_equal(got.reshape(output.shape), expected, err_msg=f"seed {seed}")


@pytest.mark.engine
@pytest.mark.parametrize(("op", "dtype", "engine"), CASES)
def test_operator_equals_the_real_engine(op, dtype, engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    graph = many(op, dtype, 12)
    check = hwsim.verify(graph, inputs_for(graph, 3), engine=engine)
    assert check.exact, check.explanation
    assert check.compared == len(check.tensors) >= 12


@pytest.mark.parametrize("op", ["div", "floor_div", "floor_mod"])
def test_whole_numbers_are_not_divided_by_0(op):
    graph = many(op, "int32", 1)
    second = graph.tensors[1]
    object.__setattr__(second, "data", np.zeros_like(second.data))
    with pytest.raises(InputError, match=f"^{op} 'y0': divides by 0, for which no engine has a result$"):
        hwsim.simulate(graph, inputs_for(graph, 1), "litert-reference")


def test_indices_outside_are_refused():
    graph = many("gather_nd", "int8", 1)
    indices = graph.tensors[1]
    object.__setattr__(indices, "data", indices.data + 99)
    with pytest.raises(InputError, match=r"^gather_nd 'y0': an index is outside values of shape"):
        hwsim.simulate(graph, inputs_for(graph, 1), "litert-reference")


def chosen(g, batches):
    """GATHER whose indices are the places of the largest codes of another input."""
    shape = (1, *(int(n) for n in g.integers(1, 4, 2)), 5, int(g.integers(1, 4)))
    lines = (*shape[:batches], *([1] if not batches else []), int(g.integers(1, 4)), 5)
    tensors = (
        tensor("x", shape), tensor("s", lines), constant("axis", len(lines) - 1), Tensor("i", lines[:-1], "int32"),
        tensor("y", (*shape[:3], *lines[batches:-1], shape[-1])),
    )  # fmt: skip
    nodes = (
        Node("arg_max", "i", (1, 2), (3,), {"output_type": "int32"}),
        Node("gather", "y", (0, 3), (4,), {"axis": 3, "batch_dims": batches}),
    )
    return Graph("chosen", tensors, nodes, (0, 1), (4,))


@pytest.mark.engine
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batches", [0, 1, 2, 3])
def test_gather_at_computed_indices(engine, batches):
    g = np.random.default_rng(batches)
    graph = beside([chosen(g, batches) for _ in range(12)], "chosen")
    inputs = inputs_for(graph, 3)
    run = hwsim.simulate(graph, inputs, engine, keep_tensors=True)
    for k in range(12):
        x, i, y = (run.tensors[f"{name}{k}"] for name in "xiy")
        y = y.reshape(*x.shape[:3], *i.shape[max(batches, 1) :], x.shape[-1])
        for sample, a, b in np.ndindex(*x.shape[:3]):
            indices = i[(sample, a, b)[: max(batches, 1)]]
            assert y[sample, a, b].tolist() == [x[sample, a, b, j].tolist() for j in indices]
    if installed(hwsim.engines()[engine]) is not None:
        check = hwsim.verify(graph, inputs, engine=engine)
        assert check.exact, check.explanation
