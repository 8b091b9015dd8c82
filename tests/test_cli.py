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
from hwsim.graph import Graph, Tensor
from hwsim.graph.probes import random_inputs
from hwsim.importers.tflite_writer import to_tflite
from hwsim.verify import layer_graph
from tests.build import GENERATOR_SEED, codes, single, tensor
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


def test_info_says_which_nodes_an_engine_cannot_run(command, folder):
    single("magic", [tensor("x", (1, 2))], tensor("y", (1, 2))).save("odd.hwsim")
    status, out, _ = command("info", "odd.hwsim", "--json")
    facts = json.loads(out)
    assert status == 0
    assert facts["engines"] == {name: ["magic 'y': hwsim has no operator 'magic'"] for name in hwsim.engines()}
    assert "xnnpack: cannot run 1 nodes, first magic 'y'" in command("info", "odd.hwsim").out


def test_info_never_promises_what_compile_refuses(command, folder):
    options = {"activation": "none", "weights_format": "default", "keep_num_dims": False}
    computed = [tensor("x", (1, 3)), tensor("w", (2, 3))]
    single("fully_connected", computed, tensor("y", (1, 2)), **options).save("odd.hwsim")
    reason = "fully_connected 'y': input 'w' is computed; expected a constant"
    status, out, _ = command("info", "odd.hwsim", "--json")
    engines = json.loads(out)["engines"]
    assert engines.pop("float") == ["fully_connected 'y': engine 'float' cannot run it on int8; it runs float32"]
    assert (status, engines) == (0, {name: [reason] for name in hwsim.engines() if name != "float"})
    refused = command("run", "odd.hwsim", "--engine", "xnnpack")
    assert refused == (2, "", f"error: {reason}\n")


def test_info_says_why_a_whole_graph_cannot_run(command, folder, monkeypatch):
    monkeypatch.setattr("hwsim.simulate.program.SAMPLE_BYTES_LIMIT", 2)
    reasons = json.loads(command("info", "layers.tflite", "--json").out)["engines"]["xnnpack"]
    refused = command("run", "layers.tflite", "--engine", "xnnpack")
    assert [f"error: {reason}\n" for reason in reasons] == [refused.err]


def test_run_prints_outputs(command, folder):
    np.save("x.npy", np.array([[1, 2, 3], [0, 0, 0]], np.int8))
    status, out, err = command("run", "layers.tflite", "--engine", "tflite-micro", "--input", "x.npy")
    assert (status, err) == (0, "")
    assert out.splitlines() == ["output y: int8 [2, 1], scale 1, zero_point 0", "  first sample: 20"]


def test_run_as_json(command, folder):
    status, out, err = command("run", "net.tflite", "--engine", "xnnpack", "--samples", 3, "--seed", 7, "--json")
    graph = hwsim.load("net.tflite")
    (expected,) = hwsim.simulate(graph, random_inputs(graph, 3, seed=7), "xnnpack").outputs
    (output,) = json.loads(out)["outputs"]
    assert (status, err) == (0, "")
    assert output["shape"] == list(expected.shape)
    assert output["first"] == expected[0].ravel()[:12].tolist()


def test_run_writes_outputs_under_tensor_names(command, folder):
    words = ("run", "layers.tflite", "--engine", "tflite-micro", "--samples", 4, "--threads", 2, "--out", "y.npz")
    assert command(*words).status == 0
    (expected,) = hwsim.simulate(two_layers(), random_inputs(two_layers(), 4), "tflite-micro").outputs
    with np.load("y.npz") as written:
        assert written.files == ["y"]
        assert_array_equal(written["y"], expected)


def test_run_writes_every_tensor_when_asked(command, folder):
    with np.load("golden.npz") as golden:
        np.save("x.npy", golden["x"])
    words = ("--engine", "tflite-micro", "--input", "x.npy", "--out", "all.npz", "--keep-tensors")
    assert command("run", "layers.tflite", *words).status == 0
    with np.load("all.npz") as written, np.load("golden.npz") as golden:
        assert sorted(written.files) == sorted(golden.files) == ["h", "x", "y"]
        for name in golden.files:
            assert_array_equal(written[name], golden[name])


def test_run_takes_inputs_by_name(command, folder):
    np.savez("in.npz", right=np.array([[3, 4]], np.int8), left=np.array([[1, -9]], np.int8), more=np.zeros(1))
    out = command("run", "sum.tflite", "--engine", "tflite-micro", "--input", "in.npz").out
    assert out.splitlines()[-1] == "  first sample: 4, -5"


@pytest.mark.parametrize(
    ("first", "second"), [("left", "right"), ("input_0", "input_1"), ("input", "right"), ("left", "input_1")]
)
def test_run_takes_inputs_by_alias(command, folder, first, second):
    np.savez("in.npz", **{second: np.array([[3, 4]], np.int8), first: np.array([[1, -9]], np.int8), "y": np.zeros(1)})
    out = command("run", "sum.tflite", "--engine", "tflite-micro", "--input", "in.npz").out
    assert out.splitlines()[-1] == "  first sample: 4, -5"


def test_json_is_strict(command, folder):
    x, y = Tensor("x", (1, 5), "float32"), Tensor("y", (5, 1), "float32")
    single("reshape", [x], y, new_shape=(5, 1)).save("floats.hwsim")
    np.save("x.npy", np.array([[1.5, np.nan, np.inf, -np.inf, 0]], np.float32))
    words = ("floats.hwsim", "--engine", "tflite-micro", "--input", "x.npy")
    status, out, _ = command("run", *words, "--json")
    (output,) = json.loads(out, parse_constant=lambda name: pytest.fail(name))["outputs"]
    assert status == 0
    assert command("run", *words).out.splitlines()[1] == "  first sample: 1.5"
    np.savez("golden.npz", x=np.load("x.npy"), y=np.zeros((5, 1)))
    _, out, _ = command("verify", "floats.hwsim", "--golden", "golden.npz", "--engine", "tflite-micro", "--json")
    facts = json.loads(out, parse_constant=lambda name: pytest.fail(name))
    assert (output["first"], facts["tensors"][0]["largest"]) == ([1.5], "Infinity")


@pytest.mark.parametrize("name", ["[/x]", "[bold]y", ":warning:", "file", "allow_pickle", "a/b", "../up"])
def test_run_takes_any_tensor_name(command, folder, name):
    called(two_layers(), "y", name).save("odd.hwsim")
    status, out, _ = command("run", "odd.hwsim", "--engine", "tflite-micro", "--out", "odd.npz")
    assert (status, out.splitlines()[0]) == (0, f"output {name}: int8 [1, 1], scale 1, zero_point 0")
    assert command("info", "odd.hwsim").out.splitlines()[1] == f"output {name}: int8 [1, 1], scale 1, zero_point 0"
    with np.load("odd.npz") as written:
        assert written.files == [name]


def test_verify_golden_that_is_equal(command, folder):
    status, out, err = command("verify", "layers.tflite", "--golden", "golden.npz", "--engine", "tflite-micro")
    assert (status, err) == (0, "")
    assert out.endswith("exact: every element is equal\n")
    assert "2 of 2 tensors compared, 15 elements, 5 samples" in " ".join(out.split())


def changed_golden() -> None:
    with np.load("golden.npz") as golden:
        arrays = dict(golden)
    arrays["y"] = arrays["y"] ^ 1
    np.savez("golden.npz", **arrays)


def test_verify_golden_that_differs(command, folder):
    changed_golden()
    status, out, err = command("verify", "layers.tflite", "--golden", "golden.npz", "--engine", "tflite-micro")
    assert (status, err) == (1, "")
    assert "1 tensors differ" in out
    assert "first difference: fully_connected 'y', element [0, 0]: expected" in out


def test_verify_as_json(command, folder):
    changed_golden()
    words = ("verify", "layers.tflite", "--golden", "golden.npz", "--engine", "xnnpack", "--json")
    status, out, err = command(*words)
    facts = json.loads(out)
    assert (status, err, facts["exact"], facts["compared"], facts["samples"]) == (1, "", False, 2, 5)
    assert (facts["engine"], facts["against"], facts["first_difference"]["tensor"]) == ("xnnpack", "golden.npz", "y")
    assert [t["differing"] for t in facts["tensors"]] == [0, 5]


def test_verify_takes_input_beside_golden(command, folder):
    with np.load("golden.npz") as golden:
        np.save("x.npy", golden["x"])
        np.savez("y.npz", y=golden["y"])
    words = ("verify", "layers.tflite", "--golden", "y.npz", "--input", "x.npy", "--engine", "tflite-micro", "--json")
    status, out, _ = command(*words)
    assert (status, json.loads(out)["compared"]) == (0, 1)


def test_verify_of_nothing_is_not_exact(command, folder):
    np.savez("x.npz", x=np.zeros((1, 3), np.int8))
    status, out, _ = command("verify", "layers.tflite", "--golden", "x.npz", "--engine", "tflite-micro")
    assert status == 1
    assert out.splitlines()[-1] == "nothing was compared: x.npz gives no tensor that a node computes"


def layer(engine: str) -> dict[str, Any]:
    """The arrays of a layer file, with what `engine` makes of it."""
    g = np.random.default_rng(GENERATOR_SEED)
    arrays = {"op": "fully_connected", "input": codes(g, (40, 8)), "weights": g.integers(-20, 20, (4, 8), np.int8)}
    scales = {"input_scale": 0.5, "input_zero_point": -9, "weight_scale": 1 / 64, "output_scale": 1}  # many ties
    whole = {**arrays, **scales, "output_zero_point": 5, "output": np.zeros((40, 4), np.int8)}
    return {**whole, "output": hwsim.simulate(layer_graph(whole), whole["input"], engine).outputs[0]}


def test_verify_layer_that_is_equal(command, folder):
    arrays = layer("litert-reference")
    np.savez("layer.npz", **arrays)
    said = "sums need at most 15 bits, whatever the input (fully_connected 0)"
    assert command("verify", "--golden", "layer.npz") == (
        0,
        "litert-reference simulated against layer.npz: 1 of 1 tensors compared, 160 elements, 40 samples\n"
        f"{said}; these inputs needed 14 (fully_connected 0), 14 where sums wrap\n"
        "exact: every element is equal\n",
        "",
    )
    rows = arrays["weights"].astype(int).tolist()
    largest = max(sum(max(w * (127 + 9), w * (-128 + 9)) for w in row) for row in rows)
    whole = (arrays["input"].astype(int) + 9) @ arrays["weights"].astype(int).T
    assert 2**13 <= largest < 2**14
    assert 2**12 <= np.abs(whole).max() < 2**13


def test_verify_layer_that_differs(command, folder):
    np.savez("layer.npz", **layer("tflite-micro"))
    assert command("verify", "--golden", "layer.npz", "--engine", "tflite-micro").status == 0
    status, out, err = command("verify", "--golden", "layer.npz", "--engine", "xnnpack")
    first, reason = out.splitlines()[-2:]
    assert (status, err) == (1, "")
    assert first.startswith("first difference: fully_connected 'output', element [")
    assert "simulated with float32, float32 scale; double_rounding (two roundings" in reason
    status, out, _ = command("verify", "--golden", "layer.npz", "--engine", "xnnpack", "--json")
    facts = json.loads(out)
    assert (status, facts["exact"], facts["explanation"]) == (1, False, f"{first}\n{reason}")


def test_verify_output_stage(command, folder):
    np.savez("stage.npz", accumulator=[[1, 8, -8]], output=[[0, 1, -1]], scale=1 / 16, zero_point=0)
    assert command("verify", "--golden", "stage.npz").status == 0
    np.savez("stage.npz", accumulator=[[1, 8, -8]], output=[[0, 0, 0]], scale=1 / 16, zero_point=0)
    status, out, _ = command("verify", "--golden", "stage.npz")
    assert status == 1
    assert "output stage, 1 node: simulated with double_rounding; float32 (" in out


def test_engines_lists_them(command):
    status, out, err = command("engines")
    assert (status, err) == (0, "")
    assert [name for name in re.findall(r"(?m)^ {0,3}(\S+)", out) if name in hwsim.engines()] == [*hwsim.engines()]
    status, out, err = command("engines", "--json")
    assert (status, err, list(json.loads(out))) == (0, "", [*hwsim.engines()])


MISSING_ENGINE = "--engine is missing; `hwsim engines` lists them, for instance --engine litert-reference"
MISSING_MODEL = "MODEL is missing; name a .tflite or .hwsim file, or give --golden LAYER.npz with one layer"
MISSING_AGAINST = "--against is missing; name a real engine (`hwsim engines` lists them) or give --golden FILE.npz"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("info none.tflite", f"none.tflite: no such file; {KNOWN}"),
        ("info .", f".: is a folder; expected a model file, {KNOWN[9:]}"),
        ("info empty.tflite", f"empty.tflite: is empty; {KNOWN}"),
        ("info photo.gif", f"photo.gif: begins with b'GIF89a'; {KNOWN}"),
        ("run none.tflite --engine xnnpack", f"none.tflite: no such file; {KNOWN}"),
        ("run layers.tflite", MISSING_ENGINE),
        ("run layers.tflite --engine xnpack", "unknown engine 'xnpack'; did you mean 'xnnpack'?"),
        ("run layers.tflite --engine xnnpack --input none.npy", "none.npy: no such file; expected a .npy or .npz file"),
        ("run layers.tflite --engine xnnpack --input .", ".: no such file; expected a .npy or .npz file"),
        ("run layers.tflite --engine xnnpack --input bad.npz",
         "bad.npz: not a readable .npy or .npz file (File is not a zip file)"),
        ("run layers.tflite --engine xnnpack --input empty.npy",
         "empty.npy: not a readable .npy or .npz file (No data left in file)"),
        ("run layers.tflite --engine xnnpack --input wide.npy", "input 'x' has shape [1, 4]; expected [batch, 3]"),
        ("run layers.tflite --engine xnnpack --input scalar.npy", "input 'x' has shape []; expected [batch, 3]"),
        ("run layers.tflite --engine xnnpack --input float.npy", "input 'x' is float64; expected int8"),
        ("run sum.tflite --engine xnnpack --input golden.npz", "golden.npz: has no array 'left'; it has x, h, y"),
        ("run sum.tflite --engine xnnpack --input twice.npz", "twice.npz: has 'left' twice, as 'left' and 'input'"),
        ("run layers.tflite --engine xnnpack --out folder", "folder: cannot be written (Is a directory)"),
        ("run layers.tflite --engine xnnpack --out no/y", "no/y: cannot be written (No such file or directory)"),
        ("run layers.tflite --engine xnnpack --out bad.npz/y", "bad.npz/y: cannot be written (Not a directory)"),
        ("run layers.tflite --engine xnnpack --samples 1" + "0" * 30,
         f"1{'0' * 30} random samples need 3{'0' * 30} bytes; the limit is {4 << 30}: use fewer"),
        ("verify layers.tflite", MISSING_AGAINST),
        ("verify", MISSING_MODEL),
        ("verify --against xnnpack", MISSING_MODEL),
        ("verify --golden golden.npz --input x.npy",
         "--input needs a MODEL; a layer's input is in the --golden file itself"),
        ("verify --golden golden.npz", f"golden.npz: {NO_LAYER[7:]}"),
        ("verify --golden golden.npy", "golden.npy: expected a .npz file with recorded tensors"),
        ("verify --golden odd.npz", "odd.npz: unknown key of conv2d 'wieghts'; did you mean 'weights'?"),
        ("verify --golden odd.npz --engine tflite", "unknown engine 'tflite'; did you mean 'tflite-micro'?"),
        ("verify layers.tflite --golden golden.npz --against xnnpack",
         "--golden, --against and --simulated exclude each other; give one of them"),
        ("verify layers.tflite --golden golden.npy", "golden.npy: expected a .npz file with recorded tensors"),
        ("verify layers.tflite --golden none.npz", "none.npz: no such file; expected a .npy or .npz file"),
        ("verify layers.tflite --golden bad.npz", "bad.npz: not a readable .npy or .npz file (File is not a zip file)"),
        ("verify sum.tflite --golden golden.npz", "unknown tensor 'x'; expected one of input, input_0, input_1, left, "
         "output, output_0, right, y"),
        ("verify layers.tflite --engine tflite --golden golden.npz",
         "unknown engine 'tflite'; did you mean 'tflite-micro'?"),
    ],
)  # fmt: skip
def test_error_is_one_line(command, folder, words, message):
    for name in ("bad.npz", "empty.npy", "empty.tflite"):
        Path(name).write_bytes(b"")
    Path("photo.gif").write_bytes(b"GIF89a")
    Path("folder").mkdir()
    np.save("wide.npy", np.zeros((1, 4), np.int8))
    np.save("scalar.npy", np.int8(1))
    np.save("float.npy", np.zeros((1, 3)))
    np.savez("twice.npz", left=np.zeros(1), input=np.zeros(1))
    np.savez("odd.npz", op="conv2d", wieghts=np.zeros(1))
    before = sorted(folder.iterdir())
    assert command(*words.split()) == (2, "", f"error: {message}\n")
    assert sorted(folder.iterdir()) == before


def test_out_without_a_name_is_one_line(command, folder):
    status, out, err = command("run", "layers.tflite", "--engine", "xnnpack", "--out", ".")
    assert (status, out) == (2, "")
    assert err.startswith("error: .: cannot be written (") and err.count("\n") == 1


@pytest.mark.parametrize("size", [1, 8, 100, 900])
def test_truncated_model_is_one_line(command, folder, size):
    Path("cut.tflite").write_bytes(Path("layers.tflite").read_bytes()[:size])
    status, out, err = command("info", "cut.tflite")
    assert (status, out) == (2, "")
    assert err.startswith("error: cut.tflite: ") and err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    ["run", "info", "frobnicate", "run layers.tflite --engin xnnpack", "run layers.tflite --samples 0", "--jsn",
     "run layers.tflite --seed -1", "run layers.tflite --threads 0", "run layers.tflite --samples many"],
)  # fmt: skip
def test_bad_usage(command, folder, words):
    status, out, err = command(*words.split())
    assert (status, out) == (2, "")
    assert "Usage: hwsim" in err and "Traceback" not in err


def test_help_lists_the_commands(command):
    status, out, err = command("--help")
    assert (status, err) == (0, "")
    for name in ("demo", "info", "run", "verify", "engines", "bench"):
        assert f" {name} " in out


def test_version(command):
    assert command("--version") == (0, f"hwsim {hwsim.__version__}\n", "")


def test_no_memory_is_an_error_of_one_line(command, folder, monkeypatch):
    def simulate(*args: Any, **options: Any) -> None:
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setattr(hwsim, "simulate", simulate)
    ended = command("run", "layers.tflite", "--engine", "xnnpack")
    assert ended == (2, "", "error: not enough memory (Unable to allocate 9 TiB); use fewer samples\n")


def test_interruption_ends_with_130(command, folder, monkeypatch):
    def load(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(hwsim, "load", load)
    ended = command("info", "layers.tflite")
    assert (ended.status, ended.out) == (130, "")


def hwsim_process(*words: str) -> subprocess.CompletedProcess[str]:
    """`hwsim` as a shell starts it, its output in a pipe."""
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE")}
    root = str(Path(__file__).parents[1])
    program = [sys.executable, "-W", "error", "-c", "from hwsim.cli import main; main()", *words]
    return subprocess.run(program, env={**kept, "PYTHONPATH": root}, capture_output=True, text=True, check=False)


def test_pipe_gets_nothing_but_the_result(folder):
    ended = hwsim_process("run", "layers.tflite", "--engine", "tflite-micro", "--samples", "50", "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["outputs"][0]["shape"] == [50, 1]
    assert ended.stderr in ("", "compiling kernels for this machine; the next run finds them on disk\n")


def test_pipe_gets_no_colors(folder):
    ended = hwsim_process("info", "layers.tflite")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("input x: int8 [1, 3]") and "\x1b" not in ended.stdout


def test_pipe_gets_prose_in_whole_lines(folder):
    name = "a name that goes on " * 6
    called(two_layers(), "y", name).save("long.hwsim")
    np.savez("long.npz", **{"x": np.zeros((1, 3), np.int8), name: np.zeros((1, 1), np.int8)})
    info = hwsim_process("info", "long.hwsim").stdout.splitlines()
    ran = hwsim_process("run", "long.hwsim", "--engine", "xnnpack").stdout.splitlines()
    verified = hwsim_process("verify", "long.hwsim", "--golden", "long.npz").stdout.splitlines()
    assert info[1] == ran[0] == f"output {name}: int8 [1, 1], scale 1, zero_point 0"
    assert verified[0] == (
        "litert-reference simulated against long.npz: 1 of 2 tensors compared, 1 elements, 1 samples"
    )
    assert [line.split(":")[0] for line in verified[-2:]] == ["first difference", f"fully_connected '{name[:57]}...'"]


def test_process_ends_with_2_and_one_line(folder):
    ended = hwsim_process("verify", "none.tflite", "--against", "xnnpack")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"error: none.tflite: no such file; {KNOWN}\n"
