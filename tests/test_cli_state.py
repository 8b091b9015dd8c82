"""`hwsim run`, `verify` and `info` on networks with state."""

import json
from pathlib import Path

import numpy as np
import pytest

from hwsim.importers.tflite_writer import to_tflite
from tests.simulate.test_state import X, delay
from tests.test_cli import command  # noqa: F401
from tests.test_simulate import two_layers


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, with delay.tflite, layers.tflite and x.npy."""
    monkeypatch.chdir(tmp_path)
    for name, graph in {"delay": delay(), "layers": two_layers()}.items():
        Path(f"{name}.tflite").write_bytes(to_tflite(graph))
    np.save("x.npy", X)


RUN = ("run", "delay.tflite", "--engine", "tflite-micro", "--input", "x.npy", "--out", "y.npz")


def result():
    with np.load("y.npz") as arrays:
        return arrays["y"].tolist()


def test_run_takes_samples_for_steps_when_told(command, folder):  # noqa: F811
    assert command(*RUN).status == 0
    assert result() == [[7, -7]] * 3
    status, out, err = command(*RUN, "--stateful", "--out-state", "state.npz")
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "state after the last step: held"
    assert result() == [[7, -7], [1, 2], [3, 4]]


def test_run_goes_on_from_a_written_state(command, folder):  # noqa: F811
    command(*RUN, "--stateful", "--out-state", "state.npz")
    status, out, err = command(*RUN, "--stateful", "--state", "state.npz", "--json")
    assert (status, err, json.loads(out)["state"]) == (0, "", ["held"])
    assert result() == [[5, 6], [1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((*RUN, "--out-state", "s.npz"),
         "--out-state: independent samples leave no common state; give --stateful, or one sample"),
        (("run", "layers.tflite", "--engine", "tflite-micro", "--out-state", "s.npz"),
         "--out-state: the model keeps no state"),
    ],
)  # fmt: skip
def test_a_state_that_is_not_there_is_not_written(command, folder, words, message):  # noqa: F811
    status, _, err = command(*words)
    assert (status, err) == (2, f"error: {message}\n")
    assert not Path("s.npz").exists()


def test_verify_compares_steps(command, folder):  # noqa: F811
    np.savez("steps.npz", x=X, y=[[7, -7], [1, 2], [3, 4]], held=X)
    words = ("verify", "delay.tflite", "--engine", "tflite-micro", "--golden", "steps.npz")
    assert command(*words, "--stateful").status == 0
    assert command(*words).status == 1


def test_info_lists_state(command, folder):  # noqa: F811
    status, out, _ = command("info", "delay.tflite")
    assert status == 0
    assert "state held: int8 [1, 2], scale 0.100000001, zero_point 5" in out.splitlines()
    assert [tensor["name"] for tensor in json.loads(command("info", "delay.tflite", "--json").out)["state"]] == ["held"]
