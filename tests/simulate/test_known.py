"""Shapes that a network computes from what it declares."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.graph import Graph, Node, Tensor
from hwsim.verify.reference import installed
from tests.build import constant, tensor

ENGINES = ("litert-reference", "litert-optimized", "xnnpack", "tflite-micro")


def reshaped() -> Graph:
    """RESHAPE to what SHAPE, STRIDED_SLICE and PACK give."""
    slicing = {"begin_mask": 0, "end_mask": 0, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 1}
    tensors = (
        tensor("x", (1, 3, 4)), Tensor("sizes", (3,), "int32"), constant("one", [1]), constant("two", [2]),
        Tensor("lines", (), "int32"), constant("minus", -1), Tensor("wanted", (2,), "int32"), tensor("y", (3, 4)),
    )  # fmt: skip
    nodes = (
        Node("shape", "sizes", (0,), (1,), {"out_type": "int32"}),
        Node("strided_slice", "lines", (1, 2, 3, 2), (4,), slicing),
        Node("pack", "wanted", (4, 5), (6,), {"values_count": 2, "axis": 0}),
        Node("reshape", "y", (0, 6), (7,), {}),
    )
    return Graph("reshaped", tensors, nodes, (0,), (7,))


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reshape_to_a_computed_shape(engine):
    graph = reshaped()
    x = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    run = hwsim.simulate(graph, x, engine, keep_tensors=True)
    np.testing.assert_array_equal(run.outputs[0].reshape(-1), x.reshape(-1))
    assert run.tensors["wanted"].reshape(-1)[:2].tolist() == [3, -1]
    if installed(hwsim.engines()[engine]) is not None:
        assert hwsim.verify(graph, x, engine=engine).exact


def test_a_shape_that_varies_is_refused():
    graph = reshaped()
    varies = Graph("varies", (*graph.tensors[:6], Tensor("wanted", (2,), "int32"), graph.tensors[7]),
                   graph.nodes[3:], (0, 6), (7,))  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"^reshape 'y': input 'wanted' is computed; expected a constant$"):
        hwsim.compile(varies, "xnnpack")
