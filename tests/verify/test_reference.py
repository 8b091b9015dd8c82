import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hwsim.engines import engine
from hwsim.errors import InputError, ModelFormatError, ReferenceEngineError
from hwsim.graph import Graph, Node
from hwsim.importers.tflite_writer import to_tflite
from hwsim.verify import _reference_child as child
from hwsim.verify import reference
from hwsim.verify.reference import RUNNERS, ReferenceSession, installed, run_reference
from tests.build import GENERATOR_SEED, codes, tensor

FULLY_CONNECTED = {"activation": "none", "weights_format": "default", "keep_num_dims": False}
WEIGHTS = np.array([[1, -2, 3], [0, 1, 1]])
BIAS = np.array([5, -7])
SAMPLES = np.array([[[1, 2, 3]], [[-4, 5, 6]], [[100, 127, -128]]], np.int8)


def two_layers(dtype: str = "int8") -> Graph:
    """Two fully connected layers with every scale 1: the accumulator, clamped, is what any engine gives."""
    tensors = (
        tensor("x", (1, 3), dtype, 1.0),
        tensor("w", (2, 3), dtype, 1.0, data=WEIGHTS.astype(dtype)),
        tensor("b", (2,), "int32", 1.0, data=BIAS),
        tensor("h", (1, 2), dtype, 1.0),
        tensor("v", (1, 2), dtype, 1.0, data=[[2, 1]]),
        tensor("y", (1, 1), dtype, 1.0),
    )
    first = Node("fully_connected", "first", (0, 1, 2), (3,), FULLY_CONNECTED)
    second = Node("fully_connected", "second", (3, 4, -1), (5,), FULLY_CONNECTED)
    return Graph("two layers", tensors, (first, second), (0,), (5,))


def expected_layers() -> tuple[np.ndarray, np.ndarray]:
    hidden = np.clip(SAMPLES.astype(int) @ WEIGHTS.T + BIAS, -128, 127)
    return hidden, np.clip(hidden @ [[2], [1]], -128, 127)


def real(name: str):
    profile = engine(name)
    if installed(profile) is None:
        pytest.skip(f"needs the package {profile.package}")
    return profile


@pytest.fixture
def pretended(monkeypatch, tmp_path):
    """An engine whose child runs the given Python program; its temporary folders lie in the second value."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(reference, "installed", lambda engine: "1.0")

    def pretend(program: str):
        monkeypatch.setattr(reference, "_command", lambda folder: [sys.executable, "-c", program])
        return engine("tflite-micro"), tmp_path

    return pretend


@pytest.mark.parametrize("name", RUNNERS)
def test_run_reference_brings_back_every_computed_tensor(name, capfd):
    run = run_reference(real(name), to_tflite(two_layers()), [SAMPLES])
    hidden, output = expected_layers()
    assert run.tensors.keys() == {0, 3, 5} and run.missing == {}
    assert_array_equal(run.tensors[0], SAMPLES)
    assert_array_equal(run.tensors[3], hidden)
    assert_array_equal(run.outputs[0], output)
    assert run.outputs[0].dtype == np.int8
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", RUNNERS)
def test_run_reference_without_tensors_gives_the_same_outputs(name):
    run = run_reference(real(name), to_tflite(two_layers()), [SAMPLES], keep_tensors=False)
    assert run.tensors.keys() == {5}
    assert_array_equal(run.outputs[0], expected_layers()[1])


def test_run_reference_names_package_and_version():
    run = run_reference(real("xnnpack"), to_tflite(two_layers()), [SAMPLES[:1]])
    assert re.fullmatch(r"ai-edge-litert \d+\.\d+\.\d+.*", run.version)


def test_run_reference_results_may_be_changed_and_outlive_their_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = run_reference(real("litert-reference"), to_tflite(two_layers()), [SAMPLES])
    run.outputs[0][...] = 3
    assert run.outputs[0].ravel().tolist() == [3, 3, 3]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", RUNNERS)
def test_run_reference_keeps_no_state_between_samples(name, shared_models):
    model = shared_models("trained_lstm_int8.tflite").read_bytes()
    samples = codes(np.random.default_rng(GENERATOR_SEED), (2, 1, 28, 28))
    together = run_reference(real(name), model, [samples])
    alone = run_reference(real(name), model, [samples[1:]])
    for index, value in alone.tensors.items():
        assert_array_equal(together.tensors[index][1:], value)


@pytest.mark.parametrize("name", RUNNERS)
def test_run_reference_gives_all_of_a_published_network(name, shared_models):
    model = shared_models("kws_ref_model.tflite").read_bytes()
    samples = codes(np.random.default_rng(GENERATOR_SEED), (2, 1, 49, 10, 1))
    run = run_reference(real(name), model, [samples])
    assert sorted(run.tensors) == [0, *range(22, 35)]
    assert_array_equal(run.tensors[32].ravel(), run.tensors[31].ravel())
    assert_array_equal(run.outputs[0], run_reference(real(name), model, [samples], keep_tensors=False).outputs[0])


def unpacked_constant() -> Graph:
    tensors = (
        tensor("c", (1, 2), "int8", 0.5, data=[[2, 4]]),
        tensor("r", (1, 2), "float32", None),
        tensor("x", (1, 2), "float32", None),
        tensor("y", (1, 2), "float32", None),
    )
    add = Node("add", "add", (2, 1), (3,), {"activation": "none"})
    return Graph("unpacked", tensors, (Node("dequantize", "unpack", (0,), (1,)), add), (2,), (3,))


@pytest.mark.parametrize("name", ["litert-reference", "xnnpack"])
def test_run_reference_leaves_out_what_xnnpack_only_claims_to_store(name):
    run = run_reference(real(name), to_tflite(unpacked_constant()), [np.ones((1, 1, 2), np.float32)])
    assert_array_equal(run.outputs[0], [[[2, 3]]])
    reason = "XNNPACK unpacks this constant for itself and stores nothing here"
    assert run.missing == ({1: reason} if name == "xnnpack" else {})


def test_run_reference_says_what_a_refusing_engine_said():
    profile = real("tflite-micro")
    message = (
        f"tflite-micro (tflite-micro {installed(profile)}) could not run sample 0: Interpreter invocation failed; "
        "it said: Input type UINT8 (3) not supported. | Node FULLY_CONNECTED (number 0) failed to invoke with status 1"
        "; compare with another engine"
    )
    with pytest.raises(ReferenceEngineError, match=f"^{re.escape(message)}$"):
        run_reference(profile, to_tflite(two_layers("uint8")), [SAMPLES.astype(np.uint8)])


def test_run_reference_refuses_wrong_dtype_in_the_engines_words():
    expected = r"could not run sample 0: Cannot set tensor: Got value of type INT16 but expected type INT8"
    with pytest.raises(ReferenceEngineError, match=expected):
        run_reference(real("litert-optimized"), to_tflite(two_layers()), [SAMPLES.astype(np.int16)])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "0 arrays for 1 inputs; hand in one per input, in order"),
        ([SAMPLES[0]], "input 'x' has shape [1, 3]; expected [1, 1, 3], samples first"),
        ([SAMPLES[:0]], "input 'x' has shape [0, 1, 3]; expected [1, 1, 3], samples first"),
        ([np.int8(1)], "input 'x' has shape []; expected [1, 1, 3], samples first"),
    ],
)
def test_run_reference_refuses_inputs_that_do_not_fit(pretended, inputs, message):
    profile, _ = pretended("")
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        run_reference(profile, to_tflite(two_layers()), inputs)


@pytest.mark.parametrize("model", [b"", b"no model at all, but long enough", b"\x1c\x00\x00\x00TFL3"])
def test_run_reference_refuses_bytes_that_are_no_model(pretended, model):
    profile, _ = pretended("")
    with pytest.raises(ModelFormatError, match=rf"^model of {len(model)} bytes is no well-formed \.tflite file: "):
        run_reference(profile, model, [SAMPLES])


def test_run_reference_says_how_to_install_a_missing_package(monkeypatch):
    monkeypatch.setattr(reference, "installed", lambda engine: None)
    message = "engine 'xnnpack' needs 'ai-edge-litert', which is not installed; run: pip install 'hwsim[verify]'"
    with pytest.raises(ReferenceEngineError, match=f"^{re.escape(message)}$"):
        run_reference(engine("xnnpack"), b"", [])


def test_run_reference_refuses_an_engine_that_nobody_can_run():
    profile = replace(engine("xnnpack"), name="edge-npu", reference=None)
    message = (
        "engine 'edge-npu' is no Python package and cannot be run here; record its tensors and give them as a golden "
        f".npz, or name one of {', '.join(RUNNERS)}"
    )
    with pytest.raises(ReferenceEngineError, match=f"^{re.escape(message)}$"):
        run_reference(profile, b"", [])


def test_installed_is_none_without_the_package():
    assert installed(replace(engine("xnnpack"), package="hwsim-no-such-package")) is None
    assert installed(replace(engine("xnnpack"), package=None)) is None


def test_installed_imports_nothing_of_the_package():
    program = (
        "import sys; from hwsim.engines import engine; from hwsim.verify.reference import installed;"
        "installed(engine('xnnpack')); print('ai_edge_litert' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


CRASH = """
import os, sys
print('INFO: hello', 'dividing by zero', sep='\\n', file=sys.stderr, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize(
    ("program", "ending"),
    [
        (CRASH, f"crashed ({signal.strsignal(9)}); it said: dividing by zero"),
        ("import sys; sys.exit(3)", "ended with exit status 3"),
        ("print('W0000 00:00 noise')", "ended with exit status 0"),
        ("raise SystemExit('a | b')", "ended with exit status 1; it said: a | b"),
    ],
)
def test_run_reference_reports_a_child_that_does_not_answer(pretended, program, ending):
    profile, folder = pretended(program)
    message = f"tflite-micro (tflite-micro 1.0) {ending}; compare with another engine"
    with pytest.raises(ReferenceEngineError, match=f"^{re.escape(message)}$"):
        run_reference(profile, to_tflite(two_layers()), [SAMPLES])
    assert list(folder.iterdir()) == []


def test_run_reference_ends_a_child_that_takes_too_long(pretended):
    profile, folder = pretended("import time; time.sleep(60)")
    message = "tflite-micro (tflite-micro 1.0) did not finish within 0.2 s; allow more time or hand in fewer samples"
    with pytest.raises(ReferenceEngineError, match=f"^{re.escape(message)}$"):
        run_reference(profile, to_tflite(two_layers()), [SAMPLES], timeout_s=0.2)
    assert list(folder.iterdir()) == []


@pytest.fixture
def interruptible():
    """Ctrl-C raises here even where whoever started the tests in the background had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_run_reference_leaves_nothing_behind_when_interrupted(pretended):
    program = f"import os, time; os.kill({os.getpid()}, {int(signal.SIGINT)}); time.sleep(60)"
    profile, folder = pretended(program)
    with pytest.raises(KeyboardInterrupt):
        run_reference(profile, to_tflite(two_layers()), [SAMPLES])
    assert list(folder.iterdir()) == []


def test_run_reference_child_reads_nothing_from_the_terminal(pretended):
    profile, _ = pretended("import sys; sys.exit(len(sys.stdin.read()) + 5)")
    with pytest.raises(ReferenceEngineError, match="exit status 5;"):
        run_reference(profile, to_tflite(two_layers()), [SAMPLES])


def test_reference_session_runs_a_graph_made_here_or_read_from_a_file():
    made = two_layers()
    read = replace(made, source=to_tflite(made), source_format="tflite")
    for graph in (made, read):
        session = ReferenceSession(graph, real("litert-reference"))
        assert_array_equal(session.tensors({0: SAMPLES})[5], expected_layers()[1])
        assert session.missing == {} and session.version.startswith("ai-edge-litert ")


def test_child_imports_nothing_of_hwsim():
    program = f"import runpy, sys; runpy.run_path({child.__file__!r}); print('hwsim' in sys.modules)"
    ran = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, cwd="/")
    assert ran.stdout == "False\n", ran.stderr


class Pretended:
    """A session that gives 0 the input, 1 nothing, 2 a shape that grows, 3 no number."""

    def __init__(self, model, request):
        if model != b"model":
            raise RuntimeError("no\nmodel")

    def run(self, inputs):
        self.input = inputs[0]
        if self.input.max() > 9:
            raise ValueError

    def read(self, index):
        if index == 1:
            raise ValueError("no data")
        return {0: self.input, 2: np.zeros(self.input[0]), 3: np.array(["text"])}[index]


def answer(tmp_path, monkeypatch, values, model=b"model"):
    monkeypatch.setitem(child.RUNNERS, "pretended", Pretended)
    request = {"reference": "pretended", "samples": len(values), "inputs": [0], "tensors": [0, 1, 2, 3]}
    child.write_request(tmp_path, request, model, [np.array(values, np.int16).reshape(-1, 1)])
    status = child.main(tmp_path)
    return status, json.loads((tmp_path / "result.json").read_text())


def test_child_says_why_a_tensor_is_missing(tmp_path, monkeypatch):
    status, result = answer(tmp_path, monkeypatch, [1, 2])
    assert status == 0
    assert result["missing"] == {
        "1": "no data",
        "2": "its shape is (1,) in sample 0 and (2,) in sample 1; run them one by one",
        "3": "its values are <U4, which is no number",
    }
    assert child.read_back(tmp_path, result["tensors"], 2)[0].tolist() == [[1], [2]]


def test_child_keeps_empty_tensors(tmp_path, monkeypatch):
    _, result = answer(tmp_path, monkeypatch, [0, 0])
    assert child.read_back(tmp_path, result["tensors"], 2)[2].shape == (2, 0)


def test_child_says_what_could_not_be_done(tmp_path, monkeypatch):
    assert answer(tmp_path, monkeypatch, [1], b"") == (1, {"error": "could not load the model: no model"})
    assert answer(tmp_path, monkeypatch, [1, 10]) == (1, {"error": "could not run sample 1: ValueError"})
