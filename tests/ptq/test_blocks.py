"""Layers of a block fitted together."""

import numpy as np

import hwsim
from hwsim.ptq.adaquant import AdaQuant
from hwsim.ptq.bias_tuning import Tuning
from hwsim.ptq.blocks import TUNING, blocks, joint_blocks
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.history import layer_errors
from hwsim.ptq.observe import observe
from hwsim.ptq.walk import walk
from hwsim.simulate import SampleBatch
from tests.ptq.test_reads import chain
from tests.solver.networks import residual


def deep():
    """Four convolutions, the middle ones of one tensor."""
    return chain(2)


def test_blocks_are_runs_of_two_layers_between_single_tensors():
    graph, _ = deep()
    assert [node.op for node in graph.nodes] == ["conv2d", "conv2d", "conv2d", "add", "conv2d"]
    assert [(b.start, len(b.graph.nodes)) for b in blocks(graph)] == [(0, 5)]
    network = residual()
    found = list(blocks(network))
    assert [(b.start, len(b.graph.nodes)) for b in found] == [(0, 4), (4, 6)]
    assert found[0].graph.outputs == found[1].graph.inputs == network.nodes[3].outputs
    assert (found[0].graph.inputs, found[1].graph.outputs) == (network.inputs, network.outputs)
    assert network.inputs[0] in found[0].shared
    assert network.nodes[3].outputs[0] not in found[0].shared
    assert network.nodes[3].outputs[0] in found[1].shared


def test_blocks_together_compute_what_the_network_does():
    network = residual()
    x = np.random.default_rng(0).normal(0, 1, (3, 6, 6, 3)).astype(np.float32)
    value = x
    for block in blocks(network):
        value = hwsim.simulate(block.graph, value, "float").outputs[0]
    np.testing.assert_array_equal(value, hwsim.simulate(network, x, "float").outputs[0])


def test_fitting_blocks_lowers_the_error_at_their_end():
    graph, x = deep()
    batch, last = SampleBatch.of(graph, x), graph.nodes[-1].name
    plain = choose(graph, observe(graph, x), Widths(3, 4, ends=3))
    for start in (plain, walk(graph, plain, batch, "dyadic", AdaQuant())):
        found = joint_blocks(graph, start, batch, "dyadic")
        before, after = (layer_errors(graph, coding, "dyadic", batch)[last] for coding in (start, found))
        assert after < before
        assert any((found.weights[i].codes != weights.codes).any() for i, weights in start.weights.items())
        assert all(np.abs(weights.codes).max() <= 3 for weights in found.weights.values())
        assert found.activations[graph.inputs[0]].same_as(start.activations[graph.inputs[0]])


def test_what_other_blocks_read_keeps_its_format():
    network = residual()
    x = np.random.default_rng(0).normal(0, 1, (24, 6, 6, 3)).astype(np.float32)
    start = choose(network, observe(network, x), Widths(4, 4))
    counted = []
    found = joint_blocks(
        network, start, SampleBatch.of(network, x), "dyadic", Tuning(5, 8, learn=TUNING.learn), progress=counted.append
    )
    assert sum(counted) == 5
    assert found.weights.keys() == start.weights.keys()
    assert found.activations.keys() == start.activations.keys()
    second = list(blocks(network))[1]
    only = joint_blocks(network, start, SampleBatch.of(network, x), "dyadic", Tuning(5, 8, learn=("scale",)))
    inside = {i for node in second.graph.nodes for i in node.outputs}
    changed = {i for i, form in start.activations.items() if not form.same_as(only.activations[i])}
    assert changed
    assert changed.isdisjoint(network.inputs)
    assert changed - inside <= {i for node in network.nodes[:4] for i in node.outputs}
