"""estimate, report, targets and fit as a user types them."""

import json
import re

import pandas as pd
import pytest

from hwsim import cli, demo
from hwsim.targets import FOLDER
from tests.cost_models.test_layer_table import OWN


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """`hwsim WORDS...` in a folder of its own: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "small.csv").write_text(OWN)

    def run(*words):
        monkeypatch.setattr("sys.argv", ["hwsim", *words])
        try:
            cli.main()
            status = 0
        except SystemExit as end:
            status = end.code or 0
        # CI services set FORCE_COLOR, which rich reads when it is imported
        return status, *(re.sub(r"\x1b\[[\d;]*m", "", text) for text in capsys.readouterr())

    return run


def test_estimate_of_a_table_on_several_targets(command):
    status, out, err = command("estimate", "small.csv", "--target", "cortex-m4,systolic", "--target", "cortex-m7")
    assert (status, err) == (0, "")
    assert out.startswith("small: 3 layers, 9,216 MACs\n")
    first = [line.split()[0] for line in out.splitlines() if line.strip() and line[0] != " " and ":" not in line]
    assert first == ["target", "cortex-m4", "systolic", "cortex-m7"]
    assert "a lower bound; a table of layers does not say which tensors live on" in out


def test_estimate_of_a_network_says_where_every_number_is_from(command, tmp_path):
    demo.network().save(tmp_path / "net.hwsim")
    status, out, _ = command("estimate", "net.hwsim", "--target", "cortex-m4", "--json", "--csv", "layers.csv")
    (found,) = json.loads(out)["estimates"]
    assert (status, found["target"], found["peak_sram_is_exact"]) == (0, "cortex-m4", True)
    low, high = found["latency_band_s"]
    assert low < found["latency_s"] < high
    assert all(number["source"] for number in found["provenance"].values())
    layers = pd.read_csv("layers.csv")
    assert len(layers) == len(found["layers"]) == 17
    assert sum(layers["latency_s"]) == pytest.approx(found["latency_s"])


def test_a_setting_and_a_board_change_the_clock(command):
    def latency(*words):
        return json.loads(command("estimate", "small.csv", *words, "--json")[1])["estimates"][0]["latency_s"]

    plain = latency("--target", "systolic")
    assert latency("--target", "systolic", "--set", "clock_hz=2e9") == pytest.approx(plain / 2)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--target is missing; `hwsim targets` lists them, for instance --target cortex-m4"),
        (["--target", "cortex-m9"], "unknown target 'cortex-m9'; did you mean 'cortex-m"),
        (["--target", "systolic", "--set", "clock_hz"], "--set 'clock_hz': expected NUMBER=VALUE, for instance"),
        (["--target", "systolic", "--set", "clok_hz=1"], "unknown number 'clok_hz'; did you mean 'clock_hz'?"),
        (["--target", "systolic", "--set", "clock_hz=-1"], "clock_hz is -1.0; Input should be greater than 0"),
        (["--target", "cortex-m4", "--runtime", "cubeai"], "unknown runtime of cortex-m4 'cubeai'; did you mean"),
    ],
)
def test_a_wrong_word_is_answered(command, words, message):
    status, out, err = command("estimate", "small.csv", *words)
    assert (status, out) == (2, "")
    assert message in " ".join(err.split())


def test_report_writes_three_files(command, tmp_path):
    status, out, err = command("report", "small.csv", "--target", "systolic", "--out", "there/deep")
    assert (status, err) == (0, "")
    assert out.split() == [f"there/deep/{name}" for name in ("report.html", "layers.csv", "trace.json")]
    assert sorted(p.name for p in (tmp_path / "there" / "deep").iterdir()) == [
        "layers.csv",
        "report.html",
        "trace.json",
    ]


def test_targets_lists_and_shows(command):
    status, out, _ = command("targets")
    assert status == 0
    assert {"cortex-m4", "coral-edgetpu", "systolic"} <= {line.split()[0] for line in out.splitlines() if line.strip()}
    status, out, _ = command("targets", "cortex-m4", "--json")
    facts = json.loads(out)
    assert facts["default_runtime"] in facts["runtimes"]
    assert all(number["source"] for number in facts["numbers"].values())


def test_fit_writes_a_target_that_estimates_use(command, tmp_path):
    text = (FOLDER / "systolic.toml").read_text()
    text, changed = re.subn(
        r"layer_cycles = \{[^}]*\}", 'layer_cycles = { value = 9, source = "x", free = [1, 1e6] }', text
    )
    assert changed == 1
    (tmp_path / "systolic.toml").write_text(text)
    (tmp_path / "m.csv").write_text("network,device,latency_ms\nsmall.csv,one,0.01\nsmall.csv,two,0.01\n")
    status, out, err = command("fit", "systolic.toml", "m.csv", "--out", "fitted", "--json")
    assert (status, err, json.loads(out)["written"]) == (0, "", ["fitted/systolic.toml"])
    status, out, _ = command("estimate", "small.csv", "--target", "fitted/systolic.toml", "--json")
    (found,) = json.loads(out)["estimates"]
    assert found["latency_s"] == pytest.approx(1e-5, rel=1e-3)
    assert found["provenance"]["array.layer_cycles"]["source"] == "fitted to m.csv (2 rows of this target) by hwsim fit"


def test_fit_needs_a_table(command):
    status, _, err = command("fit", "systolic")
    assert status == 2
    assert "expected one TARGET or more and then MEASUREMENTS.csv: hwsim fit cortex-m4 boards.csv" in " ".join(
        err.split()
    )


def test_run_on_a_target_takes_its_engine_and_tells_its_cost(command, tmp_path):
    demo.network().save(tmp_path / "net.hwsim")
    status, out, _ = command("run", "net.hwsim", "--target", "cortex-m4", "--json")
    facts = json.loads(out)
    assert (status, facts["engine"]) == (0, "cmsis-nn")
    assert facts["estimate"]["latency_s"] > 0
    status, out, _ = command("run", "net.hwsim", "--target", "cortex-m4", "--engine", "xnnpack")
    assert status == 0
    assert "cortex-m4" in out and "MACs" in out
