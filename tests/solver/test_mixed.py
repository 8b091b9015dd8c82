"""From a float network to integers of mixed widths, against networks made and counted without the solver room."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hwsim
from hwsim.errors import InputError
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.lower import Coding, lower
from hwsim.ptq.observe import observe
from hwsim.solver import Layers, solve_layers, tabulate
from hwsim.solver.candidates import Candidates
from hwsim.solver.costs import REST
from hwsim.solver.measures import Judge
from hwsim.targets import target
from tests.solver.networks import LAYERS, residual, samples

COSTS = ["latency_ms", "energy_uj", "flash_kib", "sram_kib", "gbops"]
TARGETS = ["gap9", "cortex-m7", "nvidia-t4"]


@pytest.fixture(scope="module")
def graph():
    return residual()


@pytest.fixture(scope="module")
def tables(graph):
    """By target, with every end free."""
    return {name: tabulate(graph, name, samples(), pin_ends=False, engine="dyadic", cache=False) for name in TARGETS}


@pytest.fixture(scope="module")
def seen(graph):
    return observe(graph, samples())


def made(graph, seen, layers):
    """The integer network at these widths, by hwsim.ptq alone."""
    return lower(graph, choose(graph, seen, Widths(8, 8, layers=layers)))


def same_network(one, other):
    assert [(n.op, n.inputs, n.outputs) for n in one.nodes] == [(n.op, n.inputs, n.outputs) for n in other.nodes]
    for a, b in zip(one.tensors, other.tensors, strict=True):
        assert (a.name, a.dtype) == (b.name, b.dtype)
        assert (a.format is None and b.format is None) or a.format.same_as(b.format)
        assert a.data is None or assert_array_equal(a.data, b.data) is None


@pytest.mark.parametrize("layers", [{}, {1: (4, 8)}, {1: (3, 4), 2: (3, 4), 4: (2, 8)}, {0: (2, 2), 8: (5, 6)}])
def test_candidates_are_what_ptq_makes(graph, seen, layers):
    one = Candidates(graph, seen).quantized(Widths(8, 8, layers=layers))
    same_network(one, made(graph, seen, layers))


def random_choice(layers: Layers, seed):
    rng = np.random.default_rng(seed)
    choice = {name: str(rng.choice(list(map(str, may)))) for name, may in layers.options.items()}
    for tie in layers.ties:
        choice.update(dict.fromkeys(tie, choice[tie[0]]))
    return choice


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("seed", range(4))
def test_costs_add_up_to_the_network_s(tables, name, seed):
    layers = tables[name]
    choice = random_choice(layers, seed)
    integers = layers.candidates.quantized(layers.widths(choice))
    estimate = hwsim.estimate(integers, name)
    predicted = layers.predicted(choice)
    assert predicted["latency_ms"] == pytest.approx(1e3 * estimate.latency_s, rel=1e-12)
    assert predicted["energy_uj"] == pytest.approx(1e6 * estimate.energy_j, rel=1e-12)
    assert predicted["sram_kib"] == estimate.peak_sram_bytes / 1024
    assert predicted["gbops"] == pytest.approx(bit_operations(choice) / 1e9, rel=1e-12)
    assert predicted["flash_kib"] == pytest.approx(flash_bytes(choice) / 1024, rel=1e-12)


TAPS = dict(zip(LAYERS, [3 * 9 * 4, 4 * 9 * 6, 4 * 6, 6 * 9 * 8, 8 * 5], strict=True))
POSITIONS = dict(zip(LAYERS, [36, 36, 36, 36, 1], strict=True))
OUTPUTS = dict(zip(LAYERS, [4, 6, 6, 8, 5], strict=True))


def bit_operations(choice):
    """Multiply-accumulates by both widths, counted here."""
    return sum(TAPS[k] * POSITIONS[k] * int(text[1]) * int(text[3]) for k, text in choice.items())


def flash_bytes(choice):
    """Packed weights, biases of four bytes, and the two shapes of one constant."""
    return sum(TAPS[k] * int(text[1]) / 8 + 4 * OUTPUTS[k] for k, text in choice.items()) + 8


def test_the_answer_is_the_best_of_all_combinations(tables):
    layers = tables["cortex-m7"]
    limit = 0.6
    mixed = solve_layers(layers, {"flash_kib": limit})
    number = layers.table.set_index(["layer", "choice"])
    best = math.inf
    for texts in itertools.product(*(map(str, may) for may in layers.options.values())):
        rows = number.loc[[*zip(layers.options, texts, strict=True), (REST, "w8a8")]]
        if math.fsum(rows["flash_kib"]) <= limit:
            best = min(best, math.fsum(rows["degradation"]))
    assert mixed.status == "optimal"
    assert mixed.predicted["degradation"] == pytest.approx(best, abs=1e-12)
    assert mixed.predicted["flash_kib"] <= limit
    assert mixed.layers.predicted(mixed.choice) == mixed.predicted


def test_what_is_applied_costs_what_was_predicted(tables, graph, seen):
    mixed = solve_layers(tables["gap9"], {"energy_uj": 2.0, "flash_kib": 0.7})
    applied = mixed.apply()
    assert {**mixed.predicted, "degradation": 0} == pytest.approx({**applied.actual, "degradation": 0}, rel=1e-12)
    same_network(applied.graph, made(graph, seen, dict(mixed.widths.layers)))
    assert applied.missed({"energy_uj": 2.0}) == {}
    assert applied.missed({"energy_uj": 1e-9}) == {"energy_uj": applied.actual["energy_uj"]}


def test_degradation_is_measured_on_the_applied_network(tables, graph, seen):
    mixed = solve_layers(tables["nvidia-t4"], {"gbops": 0.001})
    assert mixed.choice["1_conv2d"] == mixed.choice["2_conv2d"]
    classes = answers(graph, samples(), "float").argmax(1)
    losses = [loss(made(graph, seen, layers), classes) for layers in (dict(mixed.widths.layers), {})]
    assert mixed.apply().actual["degradation"] == pytest.approx(losses[0] - losses[1], rel=1e-9, abs=1e-12)


def test_one_layer_alone_is_measured(tables, graph, seen):
    table = tables["cortex-m7"].table.set_index(["layer", "choice"])["degradation"]
    classes = answers(graph, samples(), "float").argmax(1)
    full = loss(made(graph, seen, {}), classes)
    for layer in LAYERS:
        expected = loss(made(graph, seen, {int(layer.split("_")[0]): (2, 8)}), classes) - full
        assert table[layer, "w2a8"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert table[layer, "w8a8"] == 0.0


def test_tied_layers_are_measured_together(tables, graph, seen):
    table = tables["nvidia-t4"].table.set_index(["layer", "choice"])["degradation"]
    classes = answers(graph, samples(), "float").argmax(1)
    expected = loss(made(graph, seen, {1: (4, 4), 2: (4, 4)}), classes) - loss(made(graph, seen, {}), classes)
    assert table["1_conv2d", "w4a4"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert table["2_conv2d", "w4a4"] == 0.0


def answers(network, x, engine):
    """Logits: what the fully connected layer gives."""
    values = hwsim.simulate(network, x, engine, keep_tensors=True).tensors["dense"]
    if engine == "float":
        return values.astype(float)
    form = network.tensor("dense").affine
    return (values.astype(float) - form.zero_point[0]) * float(form.scale[0])


def loss(network, classes):
    """Cross-entropy with Python's own logarithms."""
    form = network.tensors[network.inputs[0]].affine
    bits = form.bits or 8
    codes = np.rint(samples() / float(form.scale[0])) + form.zero_point[0]
    codes = np.clip(codes, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(np.int8)
    total = 0.0
    for row, label in zip(answers(network, codes, "dyadic").tolist(), classes.tolist(), strict=True):
        total += math.log(math.fsum(math.exp(value) for value in row)) - row[label]
    return total / len(classes)


def test_refining_by_nothing_changes_nothing(graph, seen):
    widths = Widths(8, 8, layers={1: (4, 8), 4: (2, 8)})
    plain, refined = Candidates(graph, seen), Candidates(graph, seen, refine=lambda _graph, coding: coding)
    same_network(refined.quantized(widths), plain.quantized(widths))


def test_each_layer_has_what_was_refined_at_its_width(graph, seen):
    asked = []

    def refine(_graph, coding: Coding):
        bits = coding.weights[1].format.bits or 8
        asked.append((bits, coding.weights[0].format.bits))
        return Coding(coding.activations, coding.weights, {i: np.full(OUTPUTS[n], float(bits)) for i, n in INDICES})

    made_of = Candidates(graph, seen, refine=refine, pinned=frozenset((0, 8)))
    coding = made_of.coding(Widths(8, 8, layers={1: (4, 8), 4: (2, 8)}))
    assert {i: bias[0] for i, bias in coding.biases.items()} == {0: 8.0, 1: 4.0, 2: 8.0, 4: 2.0, 8: 8.0}
    made_of.coding(Widths(8, 8, layers={2: (4, 8), 4: (4, 8)}))
    assert sorted(asked) == [(2, None), (4, None), (8, None)]


INDICES = [(int(name.split("_")[0]), name) for name in LAYERS]


def test_hessian_is_trace_times_squared_error(graph, seen):
    traces = dict(zip(LAYERS, [1.0, 2.0, 3.0, 4.0, 5.0], strict=True))
    layers = tabulate(graph, "gap9", samples(), traces=traces, engine="dyadic", cache=False)
    table = layers.table.set_index(["layer", "choice"])["degradation"]
    integers = made(graph, seen, {4: (3, 8)})
    codes = integers.tensors[integers.nodes[4].inputs[1]]
    error = 0.0
    real = graph.tensor("last/w").data
    for place in np.ndindex(real.shape):
        error += (float(real[place]) - float(codes.format.scale[place[0]]) * int(codes.data[place])) ** 2
    assert table["4_conv2d", "w3a8"] == pytest.approx(4.0 * error, rel=1e-12)
    with pytest.raises(InputError, match="traces has no '0_conv2d'"):
        tabulate(graph, "gap9", samples(), traces={}, engine="dyadic", cache=False)


def test_nothing_fits():
    mixed = hwsim.solve(residual(), "cortex-m7", samples(), max_flash_kib=0.01, engine="dyadic", cache=False)
    assert (mixed.status, mixed.choice, mixed.predicted) == ("infeasible", {}, {})
    with pytest.raises(InputError, match=r"there are no widths to apply: No choice keeps flash_kib <= 0\.01"):
        mixed.apply()


def test_limits_by_name_and_as_budgets(graph):
    given = {"max_latency_ms": 5.0, "max_energy_uj": 900.0, "max_sram_kib": 64.0, "max_gbops": 1.0}
    given |= {"engine": "dyadic", "choices": ["w8a8"], "cache": False}
    mixed = hwsim.solve(graph, "cortex-m7", samples(), {"flash_kib": 4.0}, **given)
    assert mixed.solution.budgets == {
        "flash_kib": 4.0, "latency_ms": 5.0, "energy_uj": 900.0, "sram_kib": 64.0, "gbops": 1.0
    }  # fmt: skip
    assert set(mixed.choice.values()) == {"w8a8"}


def test_a_choice_that_the_table_does_not_have(tables):
    with pytest.raises(InputError, match="layer '4_conv2d' has no choice 'w4a4'; it has w8a8, w7a8"):
        tables["gap9"].predicted(dict.fromkeys(LAYERS[:3], "w8a8") | {"4_conv2d": "w4a4"})
    with pytest.raises(InputError, match="choice has no layer '8_fully_connected'"):
        tables["gap9"].predicted(dict.fromkeys(LAYERS[:4], "w8a8"))


def test_only_float_networks_have_widths_to_choose(graph, seen):
    with pytest.raises(InputError, match="layer 0_conv2d reads int8; give the float network"):
        hwsim.solve(made(graph, seen, {}), "gap9", samples())


def test_a_target_without_energy(graph):
    silent = target("gap9").with_values({"energy.base_power_w": 0.0, "energy.mac_pj": 0.0})
    with pytest.raises(InputError, match="'gap9' says nothing of energy; leave it out"):
        hwsim.solve(graph, silent, samples(), max_energy_uj=1.0, cache=False)


def test_judges_of_labels_and_measures(graph, seen):
    labels = np.arange(24) % 5
    integers = made(graph, seen, {1: (2, 8)})
    judge = Judge.of(graph, samples(), labels, engine="dyadic")
    real = answers(graph, samples(), "float")
    floor = sum(math.log(math.fsum(map(math.exp, row))) - row[k] for row, k in zip(real.tolist(), labels, strict=True))
    assert judge.degradation(integers) == pytest.approx(loss(integers, labels) - floor / 24, rel=1e-6)
    noise = Judge.of(graph, samples(), measure="sqnr", engine="dyadic")
    got = noise.answers(integers)
    assert noise.degradation(integers) == pytest.approx(((got - real) ** 2).sum() / (real**2).sum(), rel=1e-6)
    divergence = Judge.of(graph, samples(), measure="kl", engine="dyadic").degradation(integers)
    assert divergence == pytest.approx(kl(real.tolist(), got.tolist()), rel=1e-6)
    for wrong in (labels[:3], labels + 1, labels - 1, labels.astype(float)):
        with pytest.raises(InputError, match="labels "):
            Judge.of(graph, samples(), wrong)
    with pytest.raises(InputError, match="unknown measure 'los'"):
        Judge.of(graph, samples(), measure="los")


def kl(real, got):
    """Mean divergence of the softmax of `got` from that of `real`, by its definition."""
    total = 0.0
    for a, b in zip(real, got, strict=True):
        p, q = ([math.exp(v) / math.fsum(map(math.exp, row)) for v in row] for row in (a, b))
        total += math.fsum(x * math.log(x / y) for x, y in zip(p, q, strict=True))
    return total / len(real)
