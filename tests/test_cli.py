import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hwsim
from hwsim import cli
from hwsim.graph import Graph, Levels, Tensor
from hwsim.graph.probes import random_inputs
from hwsim.importers.tflite_writer import to_tflite
from hwsim.quantizers.companding import Companding
from hwsim.verify import layer_graph
from tests.build import GENERATOR_SEED, codes, single, tensor
from tests.ops.test_tables import layer as layer_between_tables
from tests.ops.test_tables import lcq
from tests.random_graphs import conv2d
from tests.test_simulate import two_layers
from tests.verify.test_layer import NO_LAYER

NOT_FLOAT = "fully_connected 'h': engine 'float' cannot run it on int8; it runs float32"

KNOWN = "expected a .tflite file ('TFL3' at byte 4) or a .hwsim file"


class Ended(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs `hwsim` with the given words in this process."""
    monkeypatch.setattr("hwsim.kernels.on_compilation", lambda callback: None)

    def run(*words: Any) -> Ended:
        monkeypatch.setattr(sys, "argv", ["hwsim", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        # CI services set FORCE_COLOR, which rich reads when it is imported
        return Ended(ended.value.code, *(re.sub(r"\x1b\[[\d;]*m", "", text) for text in capsys.readouterr()))

    return run


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The current folder, with net.tflite, layers.tflite, sum.tflite and golden.npz, the tensors of layers.tflite."""
    monkeypatch.chdir(tmp_path)
    graphs = {"net": conv2d(np.random.default_rng(GENERATOR_SEED), "int8"), "layers": two_layers(), "sum": two_inputs()}
    for name, graph in graphs.items():
        Path(f"{name}.tflite").write_bytes(to_tflite(graph))
    rows = codes(np.random.default_rng(0), (5, 3)) // 16
    np.savez("golden.npz", **hwsim.simulate(two_layers(), rows, "tflite-micro", keep_tensors=True).tensors)
    return tmp_path


def two_inputs() -> Graph:
    return single("add", [tensor("left", (1, 2)), tensor("right", (1, 2))], tensor("y", (1, 2)), activation="none")


def called(graph: Graph, old: str, new: str) -> Graph:
    return replace(graph, tensors=tuple(replace(t, name=new) if t.name == old else t for t in graph.tensors))


def test_info_shows_network(command, folder):
    status, out, err = command("info", "layers.tflite")
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[:3] == [
        "input x: int8 [1, 3], scale 1, zero_point 0",
        "output y: int8 [1, 1], scale 1, zero_point 0",
        "2 nodes, 8 MACs, 10 constants in 16 bytes",
    ]
    engines = dict(line.split(": ", 1) for line in lines[-len(hwsim.engines()) :])
    assert engines == dict.fromkeys(hwsim.engines(), "runs it") | {"float": f"cannot run 2 nodes, first {NOT_FLOAT}"}


def test_info_as_json(command, folder):
    status, out, err = command("info", "layers.tflite", "--json")
    facts = json.loads(out)
    assert (status, err) == (0, "")
    assert facts["inputs"] == [{"name": "x", "dtype": "int8", "shape": [1, 3], "format": "scale 1, zero_point 0"}]
    assert [(node["op"], node["macs"]) for node in facts["nodes"]] == [("fully_connected", 6), ("fully_connected", 2)]
    assert facts["engines"].pop("float")[0] == NOT_FLOAT
    assert facts["engines"] == {name: [] for name in hwsim.engines() if name != "float"}


def test_layers_between_tables_run_or_say_the_remedy(command, tmp_path):
    """A layer of levels runs; one whose levels are no integers is refused."""
    layer_between_tables("lcq", lcq(3, 1.0), lcq(3, 1.0)).save(tmp_path / "g.hwsim")
    assert command("run", str(tmp_path / "g.hwsim"), "--engine", "dyadic", "--samples", "2").status == 0
    levels = Levels.of(Companding.fit(np.arange(9.0), 3, signed=False).levels())
    layer_between_tables("lcq", levels, lcq(3, 1.0)).save(tmp_path / "f.hwsim")
    failed = command("run", str(tmp_path / "f.hwsim"), "--engine", "dyadic")
    assert failed.status == 2
    assert "re-quantize them to an outer bit-width of 8" in failed.err
