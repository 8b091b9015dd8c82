import json
import re
import sys
from collections import Counter

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hwsim.engines import engine, real_engines
from hwsim.errors import HwsimError, InputError, UnsupportedError
from hwsim.graph.probes import random_inputs
from hwsim.importers.tflite_writer import to_tflite
from hwsim.verify import _bench_process, bench
from hwsim.verify._bench_child import first_call
from hwsim.verify._contestants import BLOCK_S, RESOLVERS, Contestant, one_by_one, race, real_engine, same
from hwsim.verify.bench import measure
from hwsim.verify.machine import this_machine
from hwsim.verify.reference import RUNNERS, installed
from tests.build import GENERATOR_SEED
from tests.random_graphs import conv2d
from tests.test_simulate import two_layers

QUICK = {"threads": [1], "seconds": 0.01}


def need(*names: str) -> None:
    for name in names:
        if installed(engine(name)) is None:
            pytest.skip(f"needs the package {engine(name).package}")


@pytest.fixture(scope="module")
def benchmark():
    need(*RUNNERS)
    heard = []
    found = measure(two_layers(), batches=[1, 3, 3], progress=heard.append, **QUICK)
    assert heard == [1, 1]
    return found


def test_measure_has_a_cell_for_each_batch_and_threads(benchmark):
    assert [(cell.batch, cell.threads) for cell in benchmark.cells] == [(1, 1), (3, 1)]
    assert benchmark.cell(3, 1) is benchmark.cells[1] and benchmark.cell(3, 2) is None
    assert (benchmark.network, benchmark.engine, benchmark.macs) == ("two layers", "litert-reference", 8)


def test_measure_times_everybody(benchmark):
    for cell in benchmark.cells:
        assert list(cell.timings) == ["hwsim", *real_engines()] and cell.left_out == {}
        for name, timing in cell.timings.items():
            assert 0 < timing.fastest_ms <= timing.median_ms <= timing.slowest_ms
            assert timing.measurements >= 2
            assert cell.ratio(name) == timing.median_ms / cell.timings["hwsim"].median_ms


def test_measure_hands_a_batch_in_whole_where_the_engine_takes_it(benchmark):
    assert {timing.how for timing in benchmark.cells[0].timings.values()} == {"whole batch"}
    hows = {name: timing.how for name, timing in benchmark.cells[1].timings.items()}
    assert hows == dict.fromkeys(["hwsim", *RESOLVERS], "whole batch") | {"tflite-micro": "3 one by one"}


def test_measure_says_where_the_time_goes(benchmark):
    for cell in benchmark.cells:
        (entry,) = cell.operators
        assert (entry.op, entry.nodes, entry.macs) == ("fully_connected", 2, 8)
        assert entry.ms > 0


def test_measure_compares_the_outputs(benchmark):
    assert [cell.differing for cell in benchmark.cells] == [0, 0]


def test_engines_that_are_not_installed_are_left_out(monkeypatch):
    monkeypatch.setattr(bench, "installed", lambda profile: None)
    (cell,) = measure(two_layers(), batches=[1], against=["xnnpack", "tflite-micro"], **QUICK).cells
    assert list(cell.timings) == ["hwsim"] and cell.differing is None
    why = "{} is not installed; run: pip install 'hwsim[verify]'"
    assert cell.left_out == {"xnnpack": why.format("ai-edge-litert"), "tflite-micro": why.format("tflite-micro")}


def test_engines_that_refuse_are_left_out():
    need("tflite-micro")
    graph = conv2d(np.random.default_rng(GENERATOR_SEED), "uint8")
    (cell,) = measure(graph, batches=[1], against=["tflite-micro"], **QUICK).cells
    assert list(cell.timings) == ["hwsim"]
    assert re.match(r"could not (load the model|run it): \w+", cell.left_out["tflite-micro"])


CRASHES = """
import json, os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[1])
request = json.loads((folder / "request.json").read_text())
for name in ["hwsim", *request["against"]]:
    (folder / "now").write_text(name)
    if name in %r:
        print("WARNING: idle talk", "it hurts", sep="\\n", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
timing = {"median_ms": 1.0, "fastest_ms": 1.0, "slowest_ms": 1.0, "measurements": 5, "how": "whole batch"}
print(json.dumps({"compiling": True}), flush=True)
answer = {"timings": dict.fromkeys(["hwsim", *request["against"]], timing), "left_out": {}, "operators": []}
print(json.dumps({"answer": {**answer, "memory_bytes": None, "differing": None}}), flush=True)
"""


@pytest.fixture
def pretended(monkeypatch):
    """Children that run the given Python program, with all engines installed."""
    monkeypatch.setattr(bench, "installed", lambda profile: "1.0")

    def pretend(program: str) -> None:
        command = [sys.executable, "-S", "-c", program]
        monkeypatch.setattr(_bench_process, "_command", lambda folder: [*command, str(folder)])

    return pretend


def test_an_engine_that_crashes_is_left_out(pretended):
    pretended(CRASHES % ["xnnpack"])
    cells = measure(two_layers(), batches=[1, 2], against=["litert-reference", "xnnpack"], **QUICK).cells
    for cell in cells:
        assert list(cell.timings) == ["hwsim", "litert-reference"]
        assert cell.left_out == {"xnnpack": "crashed (Segmentation fault); it said: it hurts"}


def test_micro_runs_on_one_thread_only(pretended):
    pretended(CRASHES % [])
    cells = measure(two_layers(), batches=[1], threads=[1, 2], against=["tflite-micro"]).cells
    assert [list(cell.timings) for cell in cells] == [["hwsim", "tflite-micro"], ["hwsim"]]
    assert cells[1].left_out == {"tflite-micro": "runs on one thread"}


def test_compilation_is_told_once(pretended):
    pretended(CRASHES % [])
    heard = []
    measure(two_layers(), batches=[1, 2], against=[], on_compilation=lambda: heard.append(1), **QUICK)
    assert heard == [1]


def test_crash_of_hwsim_is_an_error(pretended):
    pretended(CRASHES % ["hwsim"])
    message = "measuring hwsim at batch 1 crashed (Segmentation fault); it said: it hurts; use a smaller batch"
    with pytest.raises(HwsimError, match=f"^{re.escape(message)}$"):
        measure(two_layers(), batches=[1], **QUICK)


def test_child_that_does_not_end_is_killed(pretended, monkeypatch):
    monkeypatch.setattr(_bench_process, "TIMEOUT_S", 0.2)
    pretended("import time; time.sleep(60)")
    message = "measuring hwsim at batch 1 did not finish within 0.2 s; use a smaller batch"
    with pytest.raises(HwsimError, match=f"^{re.escape(message)}$"):
        measure(two_layers(), batches=[1], **QUICK)


def test_error_of_hwsim_comes_back_as_it_was(pretended):
    pretended("""import json; print(json.dumps({"error": ["UnsupportedError", "conv2d 'y': no"]}))""")
    with pytest.raises(UnsupportedError, match=r"^conv2d 'y': no$"):
        measure(two_layers(), batches=[1], **QUICK)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "xnpack"}, "unknown engine 'xnpack'; did you mean 'xnnpack'?"),
        ({"against": ["tflite"]}, "unknown engine 'tflite'; did you mean 'tflite-micro'?"),
        ({"batches": [1, 0]}, "batch is 0; expected at least 1"),
        ({"threads": [-1]}, "threads is -1; expected at least 1"),
        ({"seconds": 0}, "seconds is 0; expected more than 0"),
        ({"seconds": float("nan")}, "seconds is nan; expected more than 0"),
    ],
)
def test_measure_refuses_bad_options(options, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        measure(two_layers(), **options)


def test_one_by_one_takes_samples_of_the_declared_batch():
    whole = [np.arange(12).reshape(6, 2), np.array(5)]
    samples = one_by_one(whole, 3)
    assert len(samples) == 3
    assert_array_equal(samples[1][0], [[4, 5], [6, 7]])
    assert all(sample[1] is whole[1] for sample in samples)


def test_same_looks_at_shape_and_both_ends():
    whole = np.arange(6).reshape(3, 2)
    assert same([whole], [whole[:1]], [whole[2:]], 3)
    assert not same([whole], [whole[:1]], [whole[1:2]], 3)
    assert not same([whole], [whole[1:2]], [whole[2:]], 3)
    assert not same([whole[:2]], [whole[:1]], [whole[1:2]], 3)
    assert not same([np.array(1)], [np.array(1)], [np.array(1)], 1)


def test_race_interleaves():
    order: list[str] = []

    def contestant(name: str) -> Contestant:
        end = {"ever": 0}

        def call(arrays):
            order.append(name)
            while end["ever"] < 20000:
                end["ever"] += 1
            end["ever"] = 0
            return arrays

        return Contestant(call, [[]], 1, "")

    both = {name: contestant(name) for name in "ab"}
    said: list[str] = []
    race(both, 20 * BLOCK_S, said.append)
    for name, one in both.items():
        assert len(one.times_s) >= 5 and Counter(order)[name] - len(one.times_s) in (1, 2)
    blocks = said[2:]
    assert len(blocks) >= 10
    assert all(set(part) == {"a", "b"} for part in (blocks[: len(blocks) // 2], blocks[len(blocks) // 2 :]))


@pytest.mark.parametrize("name", RESOLVERS)
def test_real_engine_gives_the_same_whole_and_one_by_one(name):
    need(name)
    graph, request = two_layers(), {"batch": 4, "threads": 1, "seconds": 1.0}
    whole = random_inputs(graph, 4)
    together = real_engine(name, to_tflite(graph), request, whole)
    apart = real_engine(name, to_tflite(graph), {**request, "seconds": 1e-9}, whole)
    assert (together.how, apart.how) == ("whole batch", "1 one by one")
    assert_array_equal(apart.outputs()[0], together.outputs()[0][:1])


def test_first_call_counts_memory_beyond_the_outputs():
    size = 64 << 20

    def call(arrays):
        scratch = np.ones(len(arrays[0]) * size, np.int8)
        return [scratch[: len(scratch) // 2].copy()]

    contestant = Contestant(call, [[np.zeros(2)]], 2, "")
    outputs, used = first_call(contestant, [np.zeros(0)])
    assert outputs[0].shape == (size,)
    assert used is None or size < used < 3 * size


def test_machine_can_be_written_down():
    machine = this_machine()
    assert machine.cores >= 1 and machine.versions["numpy"] == np.__version__
    assert json.dumps(machine.versions) and str(machine).startswith(f"{machine.processor}, {machine.cores} cores, ")
