import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.graph import Graph, Node, Tensor
from hwsim.solver.choices import FULL, Choice, checked_choices, find_ties, layer_choices, layers_of, runnable
from hwsim.targets import target
from tests.solver.networks import LAYERS, residual

NARROW = (FULL, Choice(4, 4))


def test_a_choice_and_its_text():
    assert Choice.parse(" w4a8 ") == Choice(4, 8)
    assert str(Choice(2, 8)) == "w2a8"


@pytest.mark.parametrize("text", ["4", "w4", "a8", "w4a", "w-4a8", "4a8", ""])
def test_a_text_that_is_no_choice(text):
    with pytest.raises(InputError, match="such as w4a8"):
        Choice.parse(text)


@pytest.mark.parametrize("bits", [(1, 8), (9, 8), (8, 1), (8, 16)])
def test_widths_out_of_range(bits):
    with pytest.raises(InputError, match="expected 2 to 8 bits each"):
        Choice(*bits)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cortex-m7", "w8a8 w4a8 w2a8"),
        ("cortex-m0plus", "w8a8"),
        ("ibex", "w8a8"),
        ("cortex-a53", "w8a8"),
        ("gap8", "w8a8 w4a8 w2a8"),
        ("gap9", "w8a8 w7a8 w6a8 w5a8 w4a8 w3a8 w2a8"),
        ("nvidia-t4", "w8a8 w4a4"),
        ("ethos-u55-128", "w8a8"),
        ("coral-edgetpu", "w8a8"),
    ],
)
def test_what_targets_run(name, expected):
    assert " ".join(map(str, runnable(target(name).profile))) == expected


def test_a_choice_that_the_target_does_not_run():
    profile = target("cortex-m7").profile
    assert checked_choices(profile, ["w4a8", FULL, "w4a8"]) == (Choice(4, 8), FULL)
    with pytest.raises(InputError, match="'cortex-m7' does not run w4a4; it runs w8a8, w4a8, w2a8"):
        checked_choices(profile, ["w4a4"])
    with pytest.raises(InputError, match="choices is empty"):
        checked_choices(profile, [])


def test_a_runtime_that_the_target_does_not_have():
    with pytest.raises(InputError, match="unknown runtime of cortex-m7 'tvm'"):
        checked_choices(target("cortex-m7").profile, None, "tvm")


def test_layers_and_pinned_ends():
    graph = residual()
    assert list(layers_of(graph)) == LAYERS
    pinned = layer_choices(graph, NARROW, pin_ends=True)
    assert [len(pinned[layer]) for layer in LAYERS] == [1, 2, 2, 2, 1]
    assert pinned[LAYERS[0]] == (FULL,)
    assert all(len(choices) == 2 for choices in layer_choices(graph, NARROW, pin_ends=False).values())


def test_readers_of_one_tensor_are_tied_where_activations_are_chosen():
    graph = residual()
    assert find_ties(graph, layer_choices(graph, NARROW, pin_ends=True)) == [("1_conv2d", "2_conv2d")]
    weights_alone = layer_choices(graph, (FULL, Choice(4, 8), Choice(2, 8)), pin_ends=True)
    assert find_ties(graph, weights_alone) == []


def dense(index, name, x, y):
    return Node("fully_connected", name, (x, index), (y,), {"activation": "none"})


def joined(op):
    """Two layers a and b, joined by `op`; what a gives and what b gives are read by one more layer each."""
    weights = np.ones((4, 4), np.float32)
    tensors = [Tensor(f"t{i}", (1, 4), "float32") for i in range(5)]
    tensors.append(Tensor("joined", (1, 8 if op == "concatenation" else 4), "float32"))
    tensors += [Tensor(f"w{i}", (4, 4), "float32", None, weights) for i in range(4)]
    nodes = (
        dense(6, "a", 0, 1), dense(7, "b", 0, 2),
        Node(op, "both", (1, 2), (5,), {"activation": "none", "axis": 1}),
        dense(8, "c", 1, 3), dense(9, "d", 2, 4),
    )  # fmt: skip
    return Graph("joined", tuple(tensors), nodes, (0,), (3, 4, 5))


@pytest.mark.parametrize("op", ["add", "mul", "concatenation"])
def test_readers_of_both_sides_are_tied(op):
    graph = joined(op)
    ties = find_ties(graph, layer_choices(graph, NARROW, pin_ends=False))
    assert ties == [("0_fully_connected", "1_fully_connected"), ("3_fully_connected", "4_fully_connected")]


def test_a_graph_without_layers():
    empty = Graph("empty", (Tensor("x", (1, 4), "float32"),), (), (0,), (0,))
    with pytest.raises(InputError, match="nothing to choose"):
        layer_choices(empty, NARROW, pin_ends=True)
