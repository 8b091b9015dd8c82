"""LOOKUP: a constant table of codes."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import HwsimError
from hwsim.graph import Affine, Graph, Node, Tensor


def graph(table):
    form = Affine.per_tensor(0.1, 3)
    tensors = (
        Tensor("x", (1, 4, 5), "int8", form),
        Tensor("table", table.shape, table.dtype.name, None, table),
        Tensor("y", (1, 4, 5), "int8", form),
    )
    return Graph("lookup", tensors, (Node("lookup", "lookup", (0, 1), (2,)),), (0,), (2,))


def test_every_code_is_looked_up():
    generator = np.random.default_rng(0)
    table = generator.integers(-128, 128, 256).astype(np.int8)
    x = generator.integers(-128, 128, (300, 4, 5)).astype(np.int8)
    out = hwsim.simulate(graph(table), x, "dyadic").outputs[0]
    expected = [table[int(code) + 128] for code in x.reshape(-1)]
    assert out.reshape(-1).tolist() == [int(code) for code in expected]


def test_a_table_of_another_size_is_refused():
    with pytest.raises(HwsimError, match=r"its table is int8 \[16\]; expected int8 \[256\]"):
        hwsim.simulate(graph(np.zeros(16, np.int8)), np.zeros((1, 4, 5), np.int8), "dyadic")


def test_engines_without_tables_say_so():
    with pytest.raises(HwsimError, match="lookup"):
        hwsim.simulate(graph(np.zeros(256, np.int8)), np.zeros((1, 4, 5), np.int8), "tflite-micro")
