"""What needs batch norm's statistics, or the whole network's answers."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.graph.build import Builder
from hwsim.ptq.allocate import allocate, sensitivity
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.observe import observe
from hwsim.ptq.pipeline import quantize_with_history
from hwsim.ptq.zero_shot import distance, distilled
from hwsim.simulate import SampleBatch

OPTIONS = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}


@pytest.fixture(scope="module")
def normed():
    """Two convolutions, and the statistics of their outputs on samples that are not standard normal."""
    draw, builder = np.random.default_rng(8), Builder("normed")

    def constants(*shape):
        return [builder.constant("w", draw.normal(0, 0.4, shape).astype(np.float32)),
                builder.constant("b", draw.normal(0, 0.3, shape[0]).astype(np.float32))]  # fmt: skip

    x = builder.input("x", (1, 6, 6, 2))
    a = builder.node(
        "conv2d", [x, *constants(5, 3, 3, 2)], (1, 6, 6, 5), "one", activation="none", padding="same", **OPTIONS
    )
    b = builder.node("relu", [a], (1, 6, 6, 5), "clipped")
    c = builder.node("conv2d", [b, *constants(4, 3, 3, 5)], (1, 4, 4, 4), "two", activation="none", padding="valid",
                     **OPTIONS)  # fmt: skip
    graph = builder.graph(c)
    samples = draw.normal(0.7, 1.6, (200, 6, 6, 2)).astype(np.float32)
    run = hwsim.simulate(graph, samples, "float", keep_tensors=True).tensors
    flat = {name: run[name].reshape(-1, run[name].shape[-1]) for name in ("one", "two")}
    return graph, samples, {name: (value.mean(0), value.std(0)) for name, value in flat.items()}


def test_distilled_samples_have_the_statistics(normed):
    graph, _, statistics = normed
    x = distilled(graph, statistics, samples=8, steps=150)
    noise = np.random.default_rng(0).normal(0, 1, x.shape).astype(np.float32)
    assert x.shape == (8, 6, 6, 2)
    assert distance(graph, statistics, x) < 0.1 * distance(graph, statistics, noise)
    np.testing.assert_array_equal(x, distilled(graph, statistics, samples=8, steps=150))


def test_statistics_that_fit_no_layer_are_named(normed):
    graph, _, statistics = normed
    with pytest.raises(InputError, match=r"^unknown layer 'onne'; did you mean 'one'\?$"):
        distilled(graph, {"onne": statistics["one"]})
    with pytest.raises(InputError, match=r"^layer 'one': statistics must be 5 finite means and standard deviations$"):
        distilled(graph, {"one": statistics["two"]})
    with pytest.raises(InputError, match=r"^no statistics; "):
        distilled(graph, {})


def test_analytic_bias_correction_brings_the_mean_closer(normed):
    graph, samples, statistics = normed

    def shift(*steps):
        found = quantize_with_history(graph, samples, widths=Widths(layers={2: (2, 8)}), statistics=statistics,
                                      steps=["ranges", *steps])  # fmt: skip
        form = found.coding.activations[graph.nodes[0].inputs[0]]
        codes = np.clip(np.rint(samples / form.scale[0]) + form.zero_point[0], -128, 127).astype(np.int8)
        out = found.graph.tensors[found.graph.outputs[0]]
        got = (hwsim.simulate(found.graph, codes, "dyadic").outputs[0].astype(float) - out.zero_point) * out.scale
        return np.abs(got.mean((0, 1, 2)) - statistics["two"][0]).max()

    assert shift("analytic_bias_correction") < 0.5 * shift()
    with pytest.raises(InputError, match=r"^step 'analytic_bias_correction' needs `statistics`"):
        hwsim.quantize(graph, samples, steps=["ranges", "analytic_bias_correction"])


def test_allocation_measures_each_layer_alone_and_takes_any_solver(network, samples):
    batch, widths = SampleBatch.of(network, samples), Widths(4, 8, ends=4)
    coding = choose(network, observe(network, samples), widths)
    table = sensitivity(network, coding, batch, "dyadic", {0: 8, 2: 8, 5: 8}, (2, 5, 8))
    assert [(c.layer, c.bits) for c in table] == [(i, bits) for i in (0, 2, 5) for bits in (2, 5, 8)]
    assert {c.degradation for c in table if c.bits == 8} == {0.0}
    worse = {layer: {c.bits: c.degradation for c in table if c.layer == layer} for layer in (0, 2, 5)}
    assert all(worse[layer][2] > worse[layer][5] for layer in worse)
    asked = []

    def solver(graph, rows, uniform_bits):
        asked.append((graph, rows, uniform_bits))
        return {0: 2, 2: 8, 5: 3}

    assert allocate(widths, network, table, solver).of(network) == {0: (2, 8), 2: (8, 8), 5: (3, 8)}
    assert asked == [(network, table, 4 * (6 * 27 + 6 * 54 + 5 * 96))]


def test_the_allocation_step_changes_inner_layers_only(network, samples):
    found = quantize_with_history(
        network, samples, weights=3, steps=["ranges", "allocation"], choices=(2, 5), solver=lambda *_: {2: 5}
    )
    assert found.weight_bits == {"conv0": 8, "conv1": 5, "dense": 8}
    with pytest.raises(
        InputError, match=r"^step 'allocation' needs widths to choose among or a budget; give `choices`"
    ):
        quantize_with_history(network, samples, steps=["ranges", "allocation"])
    with pytest.raises(InputError, match=r"^widths are 2, 9; expected whole bits from 2 to 8$"):
        quantize_with_history(network, samples, choices=(2, 9))
