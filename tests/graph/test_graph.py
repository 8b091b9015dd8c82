import re
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hwsim.errors import CapacityError, GraphError, HwsimError, UnsupportedError
from hwsim.graph import Affine, Graph, Node, NodeView, Tensor
from hwsim.graph.graph import DTYPES, shorten
from hwsim.graph.probes import probe_inputs, random_inputs

TENSORS = tuple(Tensor(name, (1,), "int8") for name in "abc")


def copy(source: int, target: int) -> Node:
    return Node("copy", f"{source}to{target}", (source,), (target,))


def graph(*nodes: Node, inputs: tuple[int, ...] = (0,), outputs: tuple[int, ...] = ()) -> Graph:
    return Graph("g", TENSORS, nodes, inputs, outputs)


def raises(kind: type[HwsimError], message: str) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([copy(1, 2)], "copy '1to2': reads 'b' before anything computes it"),
        ([copy(1, 2), copy(0, 1)], "copy '1to2': reads 'b' before anything computes it"),
        ([copy(1, 1)], "copy '1to1': reads 'b' before anything computes it"),
        ([copy(0, 1), copy(0, 1)], "copy '0to1': writes 'b', which has a value already"),
        ([copy(0, 0)], "copy '0to0': writes 'a', which has a value already"),
        ([copy(9, 1)], "copy '9to1': tensor index 9 is outside 0..2"),
        ([copy(-2, 1)], "copy '-2to1': tensor index -2 is outside 0..2"),
        ([copy(0, 3)], "copy '0to3': tensor index 3 is outside 0..2"),
        ([copy(0, -1)], "copy '0to-1': tensor index -1 is outside 0..2"),
    ],
)
def test_graph_refuses_node(nodes: list[Node], message: str):
    with raises(GraphError, message):
        graph(*nodes)


@pytest.mark.parametrize(
    ("ends", "message"),
    [
        ({"outputs": (1,)}, "graph 'g': output 'b' is never computed"),
        ({"outputs": (3,)}, "graph 'g': tensor index 3 is outside 0..2"),
        ({"inputs": (-1,)}, "graph 'g': tensor index -1 is outside 0..2"),
    ],
)
def test_graph_refuses_ends(ends: dict[str, tuple[int, ...]], message: str):
    with raises(GraphError, message):
        graph(**ends)


def test_graph_refuses_names_that_repeat():
    with raises(GraphError, "graph 'g': 2 tensors are called 'a'; names must differ"):
        Graph("g", (*TENSORS, TENSORS[0]), (), (), ())


def test_graph_takes_constants_state_and_absent_inputs():
    tensors = (
        Tensor("k", (1,), "int8", None, np.zeros(1, np.int8)),
        Tensor("v", (1,), "int8", is_variable=True),
        Tensor("y", (1,), "int8"),
    )
    made = Graph("g", tensors, (Node("sum", "n", (0, 1, -1), (2,)),), (), (2, 0))
    assert [tensor.is_constant for tensor in made.tensors] == [True, False, False]


def test_graph_finds_tensor_by_name():
    assert graph().tensor("b") is TENSORS[1]
    with raises(GraphError, "graph 'g' has no tensor 'z'"):
        graph().tensor("z")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda view: view.input(1), "copy 'n': input 1 is missing; it has 2 inputs"),
        (lambda view: view.input(2), "copy 'n': input 2 is missing; it has 2 inputs"),
        (lambda view: view.output(1), "copy 'n': output 1 is missing; it has 1 outputs"),
        (lambda view: view.integer("axis"), "copy 'n': option 'axis' is None; expected an integer"),
        (lambda view: view.integer("mode"), "copy 'n': option 'mode' is 'same'; expected an integer"),
        (lambda view: view.text("stride"), "copy 'n': option 'stride' is 2; expected a name"),
    ],
)
def test_node_view_names_what_is_missing(ask: Any, message: str):
    node = Node("copy", "n", (0, -1), (1,), {"mode": "same", "stride": 2})
    with raises(GraphError, message):
        ask(NodeView(graph(node), node))


def test_node_view_reads_tensors_and_options():
    node = Node("copy", "n", (0, -1), (1,), {"mode": "same", "stride": 2})
    view = NodeView(graph(node), node)
    assert (view.inputs, view.outputs) == ([TENSORS[0], None], [TENSORS[1]])
    assert (view.integer("stride"), view.integer("axis", 3), view.text("mode")) == (2, 3, "same")


def test_node_view_wants_constant():
    view = NodeView(graph(copy(0, 1)), copy(0, 1))
    with raises(UnsupportedError, "copy '0to1': input 'a' is computed; expected a constant"):
        view.constant(0)


def test_tensor_without_one_scale():
    with raises(GraphError, "tensor 'a' (int8) has no scale; a quantized tensor needs one"):
        _ = TENSORS[0].scale
    many = Tensor("w", (2,), "int8", Affine.per_channel(np.array([1.0, 2.0]), 0))
    with raises(UnsupportedError, "tensor 'w' has 2 scales; expected one, only weights may have more"):
        _ = many.zero_point


def test_tensor_counts_its_bytes():
    assert [Tensor("t", (2, 3), dtype).size_bytes for dtype in ("int8", "int16", "float64", "bool")] == [6, 12, 48, 6]
    assert Tensor("t", (), "int32").size_bytes == 4
    with raises(UnsupportedError, f"tensor 't' is string; hwsim computes on {', '.join(DTYPES)}"):
        _ = Tensor("t", (1,), "string").size_bytes


def test_affine_same_as_compares_every_part():
    form = Affine.per_channel(np.array([0.1, 0.2]), 0)
    assert form.same_as(Affine.per_channel(np.array([0.1, 0.2], np.float32), 0))
    assert not form.same_as(Affine.per_channel(np.array([0.1, 0.2]), 1))
    assert not form.same_as(Affine.per_channel(np.array([0.1, 0.3]), 0))
    assert not form.same_as(None)
    assert not Affine.per_tensor(0.1, 1).same_as(Affine.per_tensor(0.1, 2))


def test_affine_same_as_tells_neighbouring_scales_apart():
    above = float(np.nextafter(np.float32(0.1), np.float32(1)))
    assert not Affine.per_tensor(0.1).same_as(Affine.per_tensor(above))


def test_affine_reads_back_from_its_text():
    scale = np.float32(1) / np.float32(3)
    assert str(Affine.per_tensor(float(scale), -7)) == "scale 0.333333343, zero_point -7"
    assert np.float32("0.333333343") == scale
    assert str(Affine.per_channel(np.ones(4), 3)) == "4 scales along axis 3"


def test_affine_per_channel_with_one_channel_is_per_tensor():
    assert not Affine.per_channel(np.ones(1), 0).is_per_channel
    assert Affine.per_channel(np.ones(2), 0).is_per_channel


def test_shorten_keeps_short_names_whole():
    assert shorten("a" * 60) == "a" * 60
    assert shorten("a" * 61) == "a" * 57 + "..."


def inputs_of(*tensors: Tensor) -> Graph:
    return Graph("g", tensors, (), tuple(range(len(tensors))), ())


def test_random_inputs_repeat_with_their_seed():
    made = inputs_of(Tensor("x", (2, 30), "int8"), Tensor("f", (2, 30), "float32"))
    first, again, other = (random_inputs(made, 4, seed) for seed in (1, 1, 2))
    assert [array.shape for array in first] == [(8, 30), (8, 30)]
    for a, b, c in zip(first, again, other, strict=True):
        assert_array_equal(a, b)
        assert (a != c).any()


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_random_inputs_reach_every_code(dtype: str):
    (values,) = random_inputs(inputs_of(Tensor("x", (1, 100), dtype)), 100)
    assert values.dtype == dtype
    assert np.unique(values).size == 256


def test_random_inputs_of_other_dtypes():
    made = inputs_of(
        *(Tensor(dtype, (1, 1000), dtype) for dtype in ("float32", "bool", "int64")), Tensor("s", (), "int32")
    )
    floats, truths, integers, scalar = random_inputs(made, 1)
    assert floats.dtype == np.float32 and -1 <= floats.min() < -0.9 and 0.9 < floats.max() < 1
    assert np.unique(truths).tolist() == [False, True]
    assert integers.dtype == np.int64 and abs(integers).max() > 2**62
    assert scalar.shape == () and scalar.dtype == np.int32


@pytest.mark.parametrize(
    ("tensor", "last"),
    [
        (Tensor("x", (2, 1), "int8", Affine.per_tensor(0.1, -7)), [-128, -128, 127, 127, -7, -7]),
        (Tensor("x", (1, 1), "uint8", Affine.per_tensor(0.1, 200)), [0, 255, 200]),
        (Tensor("x", (1, 1), "int16"), [-(2**15), 2**15 - 1, 0]),
        (Tensor("x", (1, 1), "float32"), [-1, 1, 0]),
        (Tensor("x", (1, 1), "bool"), [False, True, False]),
    ],
)
def test_probe_inputs_end_with_minimum_maximum_and_zero_point(tensor: Tensor, last: list[Any]):
    (probes,), (randoms,) = probe_inputs(inputs_of(tensor), 3, 5), random_inputs(inputs_of(tensor), 3, 5)
    assert_array_equal(probes[: len(randoms)], randoms)
    assert probes[len(randoms) :].ravel().tolist() == last
    assert probes.dtype == tensor.dtype


def test_probe_inputs_give_scalars_once():
    probes = probe_inputs(inputs_of(Tensor("x", (1, 2), "int8"), Tensor("s", (), "int32")), 3)
    assert [array.shape for array in probes] == [(6, 2), ()]


def test_random_inputs_refuse_what_no_memory_holds():
    made = inputs_of(Tensor("x", (1, 2**20), "float32"))
    with raises(CapacityError, f"1025 random samples need {1025 << 22} bytes; the limit is {4 << 30}: use fewer"):
        random_inputs(made, 1025)
