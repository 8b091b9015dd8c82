import numpy as np
import pytest

import hwsim
from hwsim.errors import GraphError
from hwsim.graph.build import Builder


def test_builder_writes_what_runs():
    build = Builder("net")
    x = build.input("x", (1, 4))
    weights = build.constant("w", np.eye(4, dtype=np.float32)[:2])
    bias = build.constant("b", np.array([1, -1], np.float32))
    dense = build.node("fully_connected", (x, weights, bias), (1, 2), "dense", activation="none")
    build.set_attributes(activation="relu")
    build.replace_data(bias, [2, -9])
    graph = build.graph(build.node("mul", (dense, dense), (1, 2), "dense", activation="none"))
    assert [node.name for node in graph.nodes] == ["dense", "dense_2"]
    out = hwsim.simulate(graph, np.array([[3, 4, 5, 6]], np.float32), "float").outputs[0]
    np.testing.assert_array_equal(out, [[25, 0]])


def test_builder_s_graph_is_checked():
    build = Builder("net")
    with pytest.raises(GraphError, match=r"^graph 'net': output 'x' is never computed$"):
        from hwsim.graph import Tensor

        build.tensors.append(Tensor("x", (1,), "float32"))
        build.graph(0)
