import json

import pytest

from tests.solver.test_solve_table import small
from tests.test_cli import command, folder  # noqa: F401


@pytest.fixture
def costs(tmp_path):
    path = tmp_path / "costs.csv"
    small().to_csv(path, index=False)
    return str(path)


def test_solve_prints_choices_and_budgets(command, costs):  # noqa: F811
    status, out, err = command("solve", "--table", costs, "--budget", "latency_ms=31")
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert out.startswith("optimal, ")
    assert "minimal degradation: 14. It is proven that no choice does better." in out
    assert ["conv2", "4"] in lines
    assert ["latency_ms", "31", "26", "5"] in [line[:4] for line in lines]
    assert ["degradation", "14"] in lines


def test_solve_as_json_with_every_option(command, costs):  # noqa: F811
    options = ["--budget", "latency_ms=30", "--budget", " sram_kib = 40 ", "--peak", "sram_kib", "--tie", "conv2, skip"]
    status, out, _ = command("solve", "--table", costs, *options, "--solver", "highs", "--time-limit", "20", "--json")
    facts = json.loads(out)
    assert (status, facts["status"], facts["degradation"]) == (0, "optimal", 21.0)
    assert facts["choice"] == {"conv1": "8", "conv2": "4", "skip": "4"}
    assert facts["slack"] == {"latency_ms": 5.0, "sram_kib": 0.0}
    assert set(facts["prices"]) == set(facts["marginal_prices"]) == {"latency_ms", "sram_kib"}
    assert facts["solver"].startswith("highs (scipy ")


def test_solve_minimizes_a_cost_or_a_sum(command, costs):  # noqa: F811
    aim = ["--minimize", "latency_ms", "--max-degradation", "14", "--no-prices", "--json"]
    status, out, _ = command("solve", "--table", costs, *aim)
    assert (status, json.loads(out)["value"], json.loads(out)["prices"]) == (0, 26.0, {})
    aim = ["--weight", "degradation=1", "--weight", "latency_ms=2", "--json"]
    assert json.loads(command("solve", "--table", costs, *aim)[1])["value"] == 66.0


def test_solve_says_what_would_fit_and_exits_1(command, costs):  # noqa: F811
    status, out, _ = command("solve", "--table", costs, "--budget", "latency_ms=20", "--budget", "sram_kib=90")
    assert status == 1
    assert "latency_ms alone: latency_ms >= 22 (+10.00%)." in out
    status, out, _ = command("solve", "--table", costs, "--budget", "latency_ms=20", "--json")
    facts = json.loads(out)
    assert (status, facts["status"], facts["choice"]) == (1, "infeasible", {})
    assert facts["relaxations"]["latency_ms"] == {"budgets": {"latency_ms": 22.0}, "proven": True}


def test_sweep_writes_files(command, costs, tmp_path):  # noqa: F811
    out_folder = tmp_path / "front"
    options = ["--sweep", "latency_ms", "--points", "12", "--out", str(out_folder)]
    status, out, _ = command("solve", "--table", costs, *options)
    assert status == 0
    assert {path.name for path in out_folder.iterdir()} == {
        "front.csv",
        "uniform.csv",
        "front.json",
        "front.svg",
        "front.png",
    }
    assert "front over latency_ms" in out
    status, out, _ = command("solve", "--table", costs, "--sweep", "latency_ms", "--points", "12", "--json")
    assert json.loads(out) == json.loads((out_folder / "front.json").read_text())


BAD = [
    (["--budget", "latency_ms"], "--budget 'latency_ms'; expected NAME=NUMBER, such as latency_ms=3"),
    (
        ["--budget", "latency_ms=3ms"],
        "--budget 'latency_ms=3ms': '3ms' is not a number; the unit is the column's own, so write the number alone",
    ),
    (["--budget", "latency_ms=3", "--budget", "latency_ms=4"], "--budget latency_ms is given twice; give it once"),
    (["--budget", "latncy_ms=3"], "unknown cost 'latncy_ms'; did you mean 'latency_ms'?"),
    (["--tie", "conv1"], "--tie 'conv1'; expected two or more layers, LAYER,LAYER"),
    (["--out", "x"], "--out needs --sweep COST; an answer itself goes to standard output, with --json as JSON"),
    (
        ["--sweep", "latency_ms", "--minimize", "gain"],
        "--sweep minimizes the degradation; it does not go with --minimize",
    ),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_options_exit_2(command, costs, options, message):  # noqa: F811
    status, out, err = command("solve", "--table", costs, *options)
    assert (status, out, err.strip()) == (2, "", f"error: {message}")


def test_bad_files_exit_2(command, tmp_path):  # noqa: F811
    status, _, err = command("solve", "--table", str(tmp_path / "none.csv"))
    assert (status, "No such file or directory; name a CSV file" in err) == (2, True)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    status, _, err = command("solve", "--table", str(tmp_path / "bytes.csv"))
    assert (status, "is not a CSV table" in err) == (2, True)
    (tmp_path / "blank.csv").write_text("layer,choice,degradation\n,8,1\n")
    status, _, err = command("solve", "--table", str(tmp_path / "blank.csv"))
    assert (status, err.strip()) == (2, "error: table row 0: layer is empty; name it")
