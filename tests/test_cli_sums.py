"""Layers whose sums can leave an accumulator are named."""

import json
from pathlib import Path

import numpy as np
import pytest

from hwsim.graph import Graph
from hwsim.targets import FOLDER
from tests.build import single, tensor
from tests.cost_models.test_layer_table import OWN
from tests.test_cli import command

__all__ = ["command"]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def narrow_target() -> None:
    text = (FOLDER / "systolic.toml").read_text()
    narrow = text.replace("accumulator_bits = { value = 32", "accumulator_bits = { value = 12")
    Path("narrow.toml").write_text(narrow.replace('name = "systolic"', 'name = "narrow"'))


def wide_layer() -> Graph:
    weights = tensor("w", (1, 4), data=[[100, 100, -3, 100]], scale=1)
    return single("fully_connected", [tensor("x", (1, 4), "uint8"), weights, None], tensor("y", (1, 1), "uint8"))


def test_layers_that_can_overflow_are_named(command):
    narrow_target()
    wide_layer().save("wide.hwsim")
    np.save("low.npy", np.array([[1, 2, 3, 4]], np.uint8))
    np.save("high.npy", np.array([[250, 251, 3, 4]], np.uint8))
    leaving = "fully_connected 0: its sums may need 18 bits, narrow accumulates in 12"
    pairs = "{} adds pairs of products in 16 bits and may saturate in fully_connected 0"
    lines = command("info", "wide.hwsim", "--target", "narrow.toml").out.splitlines()
    assert leaving in lines
    assert {pairs.format(f"{name}:no_vnni") for name in ("onnxruntime-x86", "fbgemm")} <= set(lines)
    assert not any(
        "may need" in line for line in command("info", "wide.hwsim", "--target", "systolic").out.splitlines()
    )
    both = ("--engine", "fbgemm:no_vnni", "--simulated", "fbgemm", "--target", "narrow.toml")
    lines = command("verify", "wide.hwsim", "--input", "low.npy", *both).out.splitlines()
    assert f"{leaving}; on these inputs 11 were enough" in lines
    assert f"{pairs.format('fbgemm:no_vnni')}; on these inputs it did in none" in lines
    lines = command("verify", "wide.hwsim", "--input", "high.npy", *both).out.splitlines()
    assert f"{leaving}; on these inputs they do: 17 bits" in lines
    assert f"{pairs.format('fbgemm:no_vnni')}; on these inputs it did in fully_connected 0" in lines
    words = ("verify", "wide.hwsim", "--input", "high.npy", *both, "--json")
    facts = json.loads(command(*words).out)
    assert facts["accumulators"][0]["running"] == {"low": 0, "high": 50491, "bits": 17}
    assert facts["accumulators"][0]["total"] == {"low": 0, "high": 50491, "bits": 17}
    assert facts["accumulators"][0]["pairs"] == {"low": -765, "high": 51000, "bits": 17}
    assert facts["accumulators"][0]["pairs_seen"] == {"low": 0, "high": 50100, "bits": 17}
    assert len(facts["overflows"]) == 2
    facts = json.loads(command(*words, "--no-sums").out)
    assert "running" not in facts["accumulators"][0] and facts["accumulators"][0]["bits"] == 18
    assert facts["overflows"] == [pairs.format("fbgemm:no_vnni"), leaving]


def test_report_names_layers_that_overflow(command):
    narrow_target()
    wide_layer().save("wide.hwsim")
    np.save("low.npy", np.array([[1, 2, 3, 4]], np.uint8))
    leaving = "fully_connected 0: its sums may need 18 bits, narrow accumulates in 12"
    assert command("report", "wide.hwsim", "--target", "narrow.toml").status == 0
    assert f"<li>{leaving}</li>" in Path("report/report.html").read_text()
    assert command("report", "wide.hwsim", "--target", "narrow.toml", "--input", "low.npy").status == 0
    page = Path("report/report.html").read_text()
    assert f"<li>{leaving}; on these inputs 11 were enough</li>" in page
    assert ">18, seen 11</td>" in page
    Path("layers.csv").write_text(OWN)
    refused = command("report", "layers.csv", "--target", "systolic", "--input", "low.npy")
    assert (refused.status, refused.err) == (2, "error: --input needs a model; a table of layers cannot be run\n")
