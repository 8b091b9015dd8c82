"""Widths chosen within budgets in post-training quantization."""

import itertools

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.allocate import Choice
from hwsim.solver.allocation import SIZE, Allocator
from hwsim.solver.costs import Machine, totals
from hwsim.solver.quantize import costs, quantize_network
from hwsim.targets import target
from tests.solver.networks import LAYERS, residual, samples

COUNTS = {0: 108, 1: 216, 2: 24, 4: 432, 8: 40}
FREE = (1, 2, 4)


def rows(widths=(2, 4, 8), activations=8):
    draw = np.random.default_rng(3)
    worse = {i: np.sort(draw.gamma(1, 1, len(widths)))[::-1] for i in FREE}
    return [
        Choice(i, bits, activations, float(worse[i][place]), COUNTS[i] * bits)
        for i in FREE
        for place, bits in enumerate(widths)
    ]


def best(table, limit_bits):
    groups = [[row for row in table if row.layer == i] for i in FREE]
    kept = [trio for trio in itertools.product(*groups) if sum(r.size_bits for r in trio) <= limit_bits]
    return min(sum(r.degradation for r in trio) for trio in kept)


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
def test_without_a_budget_uniform_bytes_are_the_budget(bits):
    table, uniform = rows(), bits * sum(COUNTS[i] for i in FREE)
    chosen = Allocator()(residual(), table, uniform)
    taken = [row for row in table if chosen[row.layer] == row.bits]
    assert sum(row.size_bits for row in taken) <= uniform
    assert sum(row.degradation for row in taken) == pytest.approx(best(table, uniform))


def test_a_limit_on_the_degradation_gives_the_smallest_weights():
    table = rows()
    groups = [[row for row in table if row.layer == i] for i in FREE]
    within = 1.5
    chosen = Allocator(max_degradation=within)(residual(), table, 0)
    size = sum(COUNTS[i] * bits for i, bits in chosen.items())
    trios = [trio for trio in itertools.product(*groups) if sum(r.degradation for r in trio) <= within]
    assert size == min(sum(r.size_bits for r in trio) for trio in trios)


def test_the_table_holds_all_layers_and_their_packed_weights():
    frame = Allocator().table(residual(), rows())
    assert list(frame["layer"].unique()) == LAYERS
    ends = frame[frame["layer"].isin([LAYERS[0], LAYERS[-1]])]
    assert ends["choice"].tolist() == ["w8a8", "w8a8"]
    assert ends[SIZE].tolist() == [108 / 1024, 40 / 1024]
    assert frame[frame["choice"] == "w2a8"][SIZE].tolist() == [COUNTS[i] / 4 / 1024 for i in FREE]


def test_costs_are_those_of_the_target():
    frame = Allocator({"latency_ms": 1.0}, target="gap9").table(residual(), rows(range(2, 9)))
    taken = quantize_network(residual(), samples(), pipeline="minmse").graph
    whole = totals(Machine(target("gap9")).estimate(taken))
    full = frame[frame["choice"] == "w8a8"]
    assert full["latency_ms"].sum() == pytest.approx(whole["latency_ms"])
    assert full["flash_kib"].sum() == whole["flash_kib"]  # whole bytes, exact in binary


@pytest.mark.parametrize("pipeline", ["light", "advanced"])
def test_pipelines_keep_the_budget(pipeline):
    found = quantize_network(residual(), samples(), choices=[2, 4, 8], budgets={SIZE: 0.45}, pipeline=pipeline)
    assert [entry.step for entry in found.history][:2] == ["ranges", "allocation"]
    assert found.weight_bits["first"] == found.weight_bits["dense"] == 8
    assert set(found.weight_bits.values()) <= {2, 4, 8}
    assert costs(found)[SIZE] == sum(COUNTS[int(n.split("_")[0])] * b for n, b in named(found).items()) / 8 / 1024
    assert costs(found)[SIZE] <= 0.45


def named(found):
    places = {node.name: f"{i}_{node.op}" for i, node in enumerate(found.real.nodes)}
    return {places[name]: bits for name, bits in found.weight_bits.items()}


def test_a_budget_on_a_target_is_kept_by_the_whole_network():
    full = costs(quantize_network(residual(), samples(), pipeline="minmse"), "gap9")
    limit = 0.5 * full["flash_kib"]
    found = quantize_network(residual(), samples(), budgets={"flash_kib": limit}, target="gap9")
    assert costs(found, "gap9")["flash_kib"] <= limit
    assert min(found.weight_bits.values()) < 8


def test_without_choices_or_budgets_widths_are_uniform():
    found = quantize_network(residual(), samples(), weights=5)
    assert [entry.step for entry in found.history] == ["ranges", "para_normalization"]
    assert list(found.weight_bits.values()) == [8, 5, 5, 5, 8]


def test_a_checkpoint_of_another_budget_is_refused(tmp_path):
    options = {"checkpoint": tmp_path / "c.npz", "pipeline": "light"}
    one = hwsim.quantize(residual(), samples(), budgets={SIZE: 0.5}, **options)
    again = hwsim.quantize(residual(), samples(), budgets={SIZE: 0.5}, **options)
    assert all(np.array_equal(a.data, b.data) for a, b in zip(one.tensors, again.tensors, strict=True))
    with pytest.raises(InputError, match=r"a checkpoint of another network, data or settings"):
        hwsim.quantize(residual(), samples(), budgets={SIZE: 0.4}, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budgets": {SIZE: 0.1}}, r"^there are no widths for these budgets: .*weights_kib"),
        ({"budgets": {"latency_ms": 3}}, r"^a budget of latency_ms needs a target; name one, such as 'cortex-m7'$"),
        ({"target": "gap9"}, r"^a target without budgets changes nothing; give budgets"),
        ({"choices": [2, 4], "pipeline": "minmse"}, r"^steps ranges choose no widths; add 'allocation', or leave out"),
        ({"choices": []}, r"^widths are none; expected whole bits from 2 to 8$"),
        ({"budgets": {"latency_ms": 3}, "target": "cortex-m7", "activations": 4},
         r"^target 'cortex-m7' does not run w2a4; it runs w8a8, w4a8, w2a8$"),
    ],
)  # fmt: skip
def test_bad_budgets_are_named(options, message):
    with pytest.raises(InputError, match=message):
        hwsim.quantize(residual(), samples(), **options)


def test_what_is_no_network_is_named():
    with pytest.raises(InputError, match=r"^network is a str; expected a hwsim.Graph or a torch.nn.Module$"):
        hwsim.quantize("net.tflite", samples())
    assert isinstance(hwsim.quantize(residual(), samples()), Graph)
