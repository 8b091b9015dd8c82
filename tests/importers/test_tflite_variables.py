"""Resource variables: handles become tensors, CALL_ONCE their first values; the rest stays to be refused."""

import numpy as np

import hwsim
from hwsim.graph import Node, Tensor
from hwsim.importers._tflite_variables import with_variables
from hwsim.reports.console import unsupported

X, Y = Tensor("x", (1, 2), "int8"), Tensor("y", (1, 2), "int8")
HANDLE, OTHER = Tensor("h", (), "resource"), Tensor("h2", (), "resource")
FIRST = Tensor("first", (1, 2), "int8", None, np.array([[3, 4]], np.int8))


def handle(output, name="states", container=""):
    return Node("VAR_HANDLE", f"h{output}", (), (output,), {"container": container, "shared_name": name})


ONCE = Node("CALL_ONCE", "once", (), (), {"init_subgraph": 1})
ASSIGN_FIRST = [HANDLE, FIRST], [handle(0), Node("assign_variable", "a", (0, 1), ())]


def lowered(nodes, first=ASSIGN_FIRST):
    return with_variables([X, HANDLE, OTHER, Y], nodes, {1: first}.__getitem__)


def test_two_handles_of_one_name_are_one_variable():
    nodes = [
        ONCE,
        handle(1),
        handle(2),
        Node("read_variable", "y", (2,), (3,)),
        Node("assign_variable", "a", (1, 0), ()),
    ]
    tensors, kept = lowered(nodes)
    assert [(node.op, node.inputs) for node in kept] == [("read_variable", (1,)), ("assign_variable", (1, 0))]
    assert tensors[1].is_variable and tensors[1].initial.tolist() == [[3, 4]]
    assert not tensors[2].is_variable


def test_names_in_other_containers_are_other_variables():
    nodes = [handle(1), handle(2, container="c"), Node("assign_variable", "a", (1, 0), ()),
             Node("assign_variable", "b", (2, 0), ())]  # fmt: skip
    tensors, kept = lowered(nodes)
    assert [node.inputs for node in kept] == [(1, 0), (2, 0)]
    assert [tensor.is_variable for tensor in tensors] == [False, True, True, False]


def test_a_variable_without_a_first_value_takes_the_shape_of_what_is_assigned():
    tensors, _ = lowered([handle(1), Node("assign_variable", "a", (1, 0), ())])
    assert (tensors[1].shape, tensors[1].dtype, tensors[1].initial) == ((1, 2), "int8", None)


def test_a_first_value_that_is_computed_is_left_to_be_refused():
    nodes = [ONCE, handle(1), Node("read_variable", "y", (1,), (3,))]
    computed = [HANDLE, X], [handle(0), Node("assign_variable", "a", (0, 1), ())]
    for first in (computed, ([], [Node("ADD", "sum", (), ())])):
        tensors, kept = lowered(nodes, first)
        assert kept == nodes and tensors[1] is HANDLE
    graph = hwsim.Graph("g", tuple(tensors), tuple(kept), (0,), (3,))
    assert "CALL_ONCE 'once': hwsim has no operator 'CALL_ONCE'" in unsupported(graph, hwsim.engines()["tflite-micro"])
