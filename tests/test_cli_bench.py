import json
from pathlib import Path

import pytest

from hwsim.engines import real_engines
from hwsim.verify import bench
from hwsim.verify.bench import Benchmark, Cell, OperatorTime, Timing
from hwsim.verify.machine import Machine
from tests.build import single, tensor
from tests.test_cli import command, folder, hwsim_process  # noqa: F401

MACHINE = Machine("Some CPU", 2, ("avx2", "avx_vnni"), {"hwsim": "0.1.0", "numpy": "2.4.0"})
HWSIM, XNNPACK = Timing(0.2, 0.1, 0.4, 9, "whole batch"), Timing(0.5, 0.45, 0.9, 7, "64 one by one")
OPERATORS = [OperatorTime("conv2d", 2, 1_000_000, 0.1), OperatorTime("softmax", 1, 0, 0.05)]
LEFT_OUT = {"tflite-micro": "tflite-micro is not installed; run: pip install 'hwsim[verify]'"}
CELLS = [
    Cell(1, 1, {"hwsim": HWSIM, "xnnpack": XNNPACK}, LEFT_OUT, OPERATORS, 1024, 0),
    Cell(64, 2, {"hwsim": HWSIM}, LEFT_OUT | {"xnnpack": "crashed (Aborted)"}, OPERATORS, None, 3),
]


@pytest.fixture
def measured(monkeypatch):
    """`measure` that gives made-up numbers at once; what it was called with is in the value."""
    calls = []

    def measure(graph, engine, **options):
        calls.append((engine, options["batches"], options["threads"], options["seconds"]))
        return Benchmark(graph.name, engine, 2_000_000, MACHINE, CELLS)

    monkeypatch.setattr(bench, "measure", measure)
    return calls


def test_bench_prints_tables(command, folder, measured):  # noqa: F811
    status, out, err = command("bench", "layers.tflite")
    assert (status, err) == (0, "")
    assert measured == [("litert-reference", [1, 64], [1, 2], 1.0)]
    lines = [line.split() for line in out.splitlines()]
    assert out.splitlines()[0] == "Some CPU, 2 cores, avx2 avx_vnni; hwsim 0.1.0, numpy 2.4.0"
    assert "layers: 2,000,000 MACs a sample, hwsim as litert-reference" in out
    assert ["xnnpack", "0.5", "0.45", "0.9", "4", "2.50", "7", "64", "one", "by", "one"] in lines
    assert ["conv2d", "2", "0.1", "50", "%", "10"] in lines
    assert [line for line in lines if line[:1] == ["between"]] == [["between", "them", "0.05", "25", "%"]]
    assert out.splitlines()[-3:] == [
        f"not measured: tflite-micro: {LEFT_OUT['tflite-micro']}",
        "not measured: xnnpack (batch 64, threads 2): crashed (Aborted)",
        "NOT exact: batch 64, threads 2: 3 output elements differ from litert-reference",
    ]
    assert max(len(line) for line in out.splitlines()[2:-3]) <= 80


def test_bench_takes_options(command, folder, measured):  # noqa: F811
    words = "--engine tflite-micro --batch 2 --batch 8 --threads 4 --seconds 0.5"
    assert command("bench", "layers.tflite", *words.split()).status == 0
    assert measured == [("tflite-micro", [2, 8], [4], 0.5)]


def test_bench_as_json(command, folder, measured):  # noqa: F811
    status, out, err = command("bench", "layers.tflite", "--json")
    facts = json.loads(out)
    assert (status, err) == (0, "")
    assert (facts["network"], facts["engine"], facts["macs"]) == ("layers", "litert-reference", 2_000_000)
    assert facts["machine"]["instructions"] == ["avx2", "avx_vnni"]
    first, second = facts["cells"]
    assert first["timings"]["xnnpack"] == {
        "median_ms": 0.5, "fastest_ms": 0.45, "slowest_ms": 0.9, "measurements": 7, "how": "64 one by one",
        "gmac_per_s": 4.0, "ratio": 2.5,
    }  # fmt: skip
    assert [(e["op"], e["gmac_per_s"]) for e in first["operators"]] == [("conv2d", 10.0), ("softmax", None)]
    assert (second["batch"], second["threads"], second["memory_bytes"], second["differing"]) == (64, 2, None, 3)
    assert second["left_out"]["xnnpack"] == "crashed (Aborted)"


def test_bench_in_a_pipe_gives_nothing_but_the_result(folder):  # noqa: F811
    words = "bench layers.tflite --engine tflite-micro --batch 2 --threads 1 --seconds 0.01 --json"
    ended = hwsim_process(*words.split())
    assert ended.returncode == 0
    assert ended.stderr in ("", "compiling kernels for this machine; the next run finds them on disk\n")
    (cell,) = json.loads(ended.stdout)["cells"]
    assert (cell["batch"], cell["threads"]) == (2, 1)
    assert {*cell["timings"], *cell["left_out"]} == {"hwsim", *real_engines()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("none.tflite", "none.tflite: no such file; expected a .tflite file ('TFL3' at byte 4) or a .hwsim file"),
        ("layers.tflite --engine xnpack", "unknown engine 'xnpack'; did you mean 'xnnpack'?"),
        ("layers.tflite --seconds 0", "seconds is 0; expected more than 0"),
        ("odd.hwsim", "magic 'y': hwsim has no operator 'magic'"),
    ],
)
def test_bench_error_is_one_line(command, folder, words, message):  # noqa: F811
    single("magic", [tensor("x", (1, 2))], tensor("y", (1, 2))).save(Path("odd.hwsim"))
    assert command("bench", *words.split()) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    "words", ["", "layers.tflite --batch 0", "layers.tflite --threads 0", "layers.tflite --seconds x"]
)
def test_bench_bad_usage(command, folder, words):  # noqa: F811
    status, out, err = command("bench", *words.split())
    assert (status, out) == (2, "")
    assert "Usage: hwsim bench" in err and "Traceback" not in err
