"""`hwsim quantize`."""

import json
import re
import sys

import numpy as np
import pytest

import hwsim
from hwsim import cli


@pytest.fixture
def command(monkeypatch, capsys, tmp_path, network, samples):
    """Runs `hwsim quantize` in a folder with net.hwsim, data.npz and test.npz."""
    monkeypatch.setattr("hwsim.kernels.on_compilation", lambda callback: None)
    monkeypatch.chdir(tmp_path)
    network.save("net.hwsim")
    labels = hwsim.simulate(network, samples, "float").outputs[0].argmax(1)
    np.savez("data.npz", x=samples, y=labels)
    np.savez("named.npz", x=samples.astype(np.float64))
    np.savez("bare.npz", images=samples)

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["hwsim", "quantize", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = (re.sub(r"\x1b\[[\d;]*m", "", text) for text in capsys.readouterr())
        return ended.value.code, out, err

    return run


def test_quantize_writes_a_network_and_says_what_each_step_bought(command):
    status, out, err = command(
        "net.hwsim", "--calibration", "data.npz", "--weights", "4", "--activations", "4", "--labels", "data.npz",
        "--steps", "ranges, adaquant", "--out", "q.hwsim", "--checkpoint", "c.npz", "--json",
    )  # fmt: skip
    assert (status, err) == (0, "")
    facts = json.loads(out)
    assert [step["step"] for step in facts["steps"]] == ["ranges", "adaquant"]
    assert facts["float_accuracy"] == 1.0
    assert set(facts["steps"][0]["errors"]) == {"conv0", "conv1", "dense"}
    graph = hwsim.load("q.hwsim")
    assert graph.tensors[graph.nodes[-2].inputs[0]].format.bits is None
    assert hwsim.simulate(graph, np.zeros((1, 8, 8, 3), np.int8), "dyadic").outputs[0].shape == (1, 5)


def test_groups_of_weights_share_integer_scales(command):
    words = ("net.hwsim", "--calibration", "data.npz", "--weights", "3", "--group", "9", "--out", "q.hwsim")
    status, _, _ = command(*words, "--steps", "ranges, adaquant, para_normalization")
    assert status == 0
    graph = hwsim.load("q.hwsim")
    forms = [graph.tensors[node.inputs[1]].format for node in graph.nodes if node.op in ("conv2d", "fully_connected")]
    assert [type(form).__name__ for form in forms] == ["Affine", *["Grouped"] * (len(forms) - 2), "Affine"]
    assert all((form.bits, form.size) == (3, 9) for form in forms[1:-1])


def test_quantize_prints_tables(command):
    status, out, _ = command("net.hwsim", "--calibration", "named.npz", "--out", "q.hwsim", "--samples", "10")
    assert status == 0
    assert out.startswith("after each step ")
    assert re.search(r"^para_normalization +\d\.\d{4} +\d+\.\d$", out, re.MULTILINE)
    assert re.search(r"^dense +8 +\d\.\d{4} +\d\.\d{4}$", out, re.MULTILINE)


def test_quantize_chooses_widths_within_a_budget(command):
    words = ["net.hwsim", "--calibration", "data.npz", "--out", "q.hwsim", "--json"]
    status, out, _ = command(*words, "--widths", "2,4,8", "--max-weights-kib", "0.8")
    facts = json.loads(out)
    assert status == 0
    assert facts["weight_bits"] == {"conv0": 8, "conv1": 4, "dense": 8}
    assert facts["costs"] == {"weights_kib": (162 + 324 / 2 + 480) / 1024}
    assert facts["missed"] == {}
    status, out, _ = command(*words, "--target", "gap9", "--max-latency-ms", "10")
    assert status == 0
    assert json.loads(out)["costs"]["latency_ms"] < 10
    status, out, err = command(*words, "--max-weights-kib", "0.1")
    assert (status, out) == (2, "")
    assert "there are no widths for these budgets" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--calibration", "none.npz"], r"none.npz: cannot be read as \.npz"),
        (["--calibration", "bare.npz"], r"unknown input 'images'; expected one of x"),
        (
            ["--calibration", "data.npz", "--labels", "bare.npz"],
            r"bare.npz: holds images; expected 'x' \(samples\), 'y'",
        ),
        (["--calibration", "data.npz", "--pipeline", "heavy"], r"unknown pipeline 'heavy'"),
        (["--calibration", "data.npz", "--widths", "2,x"], r"--widths '2,x'; expected bits with commas, such as 2,4,8"),
        (["--calibration", "data.npz", "--max-latency-ms", "1"], r"a budget of latency_ms needs a target"),
    ],
)
def test_quantize_bad_input_ends_with_2(command, words, message):
    status, out, err = command("net.hwsim", *words, "--out", "q.hwsim")
    assert (status, out) == (2, "")
    assert re.search(f"error: {message}", err)
