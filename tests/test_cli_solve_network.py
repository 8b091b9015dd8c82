import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hwsim
from hwsim.graph.probes import random_inputs
from hwsim.ptq.choose import Widths
from tests.solver.networks import residual, samples
from tests.test_cli import command  # noqa: F401


@pytest.fixture
def network(tmp_path, monkeypatch):
    """net.hwsim, x.npz and y.npy in the current folder; a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    residual().save("net.hwsim")
    np.savez("x.npz", x=samples(), y=np.arange(24) % 5)
    np.save("y.npy", np.arange(24) % 5)
    return ["net.hwsim", "--target", "gap9", "--calibration", "x.npz", "--engine", "dyadic"]


def test_from_float_to_integers(command, network):  # noqa: F811
    budgets = ["--max-energy-uj", 2.0, "--max-flash-kib", 0.7]
    status, out, err = command("solve", *network, *budgets, "--out", "q.hwsim", "--report", "report")
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert out.startswith("optimal, ")
    assert ["number", "predicted", "actual"] in lines
    (flash,) = [line for line in lines if line[:1] == ["flash_kib"] and len(line) == 3 and line[1] == line[2]]
    facts = json.loads(Path("report/solution.json").read_text())
    assert float(flash[1]) == pytest.approx(facts["actual"]["flash_kib"], rel=1e-5)
    assert Path("report/report.html").stat().st_size > 1000
    assert Path("report/choices.csv").read_text().startswith("layer,choice,degradation,latency_ms,energy_uj")
    graph = hwsim.load("q.hwsim")
    expected = hwsim.solve(residual(), "gap9", samples(), {"energy_uj": 2.0, "flash_kib": 0.7}, engine="dyadic")
    x = random_inputs(graph, 5)
    for a, b in zip(*(hwsim.simulate(g, x, "dyadic").outputs for g in (graph, expected.apply().graph)), strict=True):
        assert_array_equal(a, b)


def test_as_json_with_labels(command, network):  # noqa: F811
    options = ["--labels", "y.npy", "--choices", "w8a8,w4a8", "--max-flash-kib", 0.85, "--free-ends", "--no-cache"]
    status, out, _ = command("solve", *network, *options, "--json")
    facts = json.loads(out)
    assert (status, facts["measure"], facts["samples"], facts["missed"]) == (0, "loss", 24, {})
    assert facts["predicted"]["flash_kib"] == pytest.approx(facts["actual"]["flash_kib"])
    assert set(facts["choice"].values()) == {"w8a8", "w4a8"}
    labels = command("solve", *network, *options[2:], "--labels", "x.npz", "--json")
    assert json.loads(labels.out)["actual"] == facts["actual"]
    assert not Path("cache/hwsim/sensitivities").exists()


def test_with_a_pipeline(command, network):  # noqa: F811
    status, out, _ = command(
        "solve", *network, "--max-flash-kib", 0.7, "--pipeline", "light", "--out", "q.hwsim", "--json"
    )
    facts = json.loads(out)
    assert (status, facts["missed"]) == (0, {})
    layers = {int(name.split("_")[0]): int(text[1]) for name, text in facts["choice"].items() if name != "rest"}
    widths = Widths(8, 8, layers={index: (bits, 8) for index, bits in layers.items()})
    expected = hwsim.quantize(residual(), samples(), widths=widths, engine="dyadic", pipeline="light")
    x = random_inputs(expected, 5)
    for a, b in zip(*(hwsim.simulate(g, x, "dyadic").outputs for g in (hwsim.load("q.hwsim"), expected)), strict=True):
        assert_array_equal(a, b)
    assert command("solve", *network, "--pipeline", "lite").status == 2


def test_a_budget_that_nothing_keeps(command, network):  # noqa: F811
    status, out, _ = command("solve", *network, "--max-flash-kib", 0.1, "--out", "q.hwsim")
    assert status == 1
    assert "No choice keeps flash_kib <= 0.1" in out
    assert not Path("q.hwsim").exists()


def test_a_sweep_over_a_network(command, network):  # noqa: F811
    status, out, _ = command("solve", *network, "--sweep", "flash_kib", "--points", 4, "--out", "front")
    assert status == 0
    assert "front over flash_kib" in out
    assert {path.suffix for path in Path("front").iterdir()} == {".csv", ".json", ".svg", ".png"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["net.hwsim", "--calibration", "x.npz"], "--target is missing"),
        (["net.hwsim", "--target", "gap9"], "--calibration is missing"),
        ([], "MODEL (or --table) is missing"),
        (["net.hwsim", "--table", "t.csv"], "MODEL does not go with --table"),
        (["--table", "t.csv", "--max-latency-ms", 3], "--max-latency-ms does not go with --table"),
        (["net.hwsim", "--target", "gap9", "--calibration", "x.npz", "--choices", "w4a4"], "does not run w4a4"),
        (["net.hwsim", "--target", "gap9", "--calibration", "y.npy"], "expected"),
    ],
)
def test_what_is_missing_or_too_much(command, network, words, message):  # noqa: F811
    status, _, err = command("solve", *words)
    assert status == 2
    assert message in err
