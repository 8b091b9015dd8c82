"""Which instructions are chosen, and the same layers and network under every set that this processor has."""

import os
import subprocess
import sys
from hashlib import sha256
from importlib.resources import files
from itertools import product

import numpy as np
import pytest
from llvmlite import binding

import hwsim
from hwsim import demo
from hwsim.errors import InputError
from hwsim.kernels import vector_instructions
from tests.conftest import CHECKOUT
from tests.ops import test_vector_layer as layers
from tests.ops.test_vector_ops import ENGINES, OPS
from tests.random_graphs import inputs_for, many

JIT = not vector_instructions.config.DISABLE_JIT
NEEDS = {"portable": (), "avx2": ("avx2",), "avx512": ("avx512bw",)}
"""What a processor must have for each value of HWSIM_SIMD; the value 'vnni' is the default, as all other tests run."""

SMOKE = """
from hashlib import sha256
import hwsim
from hwsim import demo
from hwsim.errors import InputError
from hwsim.graph.probes import probe_inputs
from hwsim.kernels.vector_tile import LANES, QUADS
from tests.kernels.test_vector_instructions import layer_cases, operator_outputs
from tests.ops.test_vector_layer import vectored

print(LANES, QUADS)
run = hwsim.simulate(demo.network(), demo.images()[0], "tflite-micro", keep_tensors=True)
for name, value in run.tensors.items():
    print(name, sha256(value.tobytes()).hexdigest())
for name, outputs in operator_outputs().items():
    print(name, sha256(b"".join(output.tobytes() for output in outputs)).hexdigest())
for case in layer_cases() if LANES else ():
    print(sha256(vectored(case).tobytes()).hexdigest())
"""


def layer_cases() -> list[layers.Case]:
    """Two random layers for every kind, rounding and dtype."""
    every = product((layers.ConvLayer, layers.DepthwiseLayer), layers.RULES, ("int8", "uint8"))
    return [case for kind, rule, dtype in every for case in layers.random_cases(kind, rule, dtype, 2)]


def operator_outputs() -> dict[str, list[np.ndarray]]:
    """What random nodes of every operator with vector kernels give, by operator, dtype and engine."""
    results = {}
    for op, dtype, engine in product(OPS, ("int8", "uint8"), ENGINES):
        if (engine, dtype) != ("tflite-micro", "uint8"):
            graph = many(op, dtype, 8, seed=7)
            inputs = inputs_for(graph, 2, 3)
            results[f"{op}/{dtype}/{engine}"] = hwsim.simulate(graph, inputs, engine).outputs
    return results


def golden() -> set[str]:
    """The lines that the demonstration network's tensors must give."""
    with files(demo).joinpath("golden.npz").open("rb") as file, np.load(file) as data:
        prefix = "tflite-micro/sha256/"
        return {f"{k.removeprefix(prefix)} {data[k].tobytes().hex()}" for k in data.files if k.startswith(prefix)}


@pytest.fixture
def host(monkeypatch):
    """Calls `host()` as on a processor with these features and with this HWSIM_SIMD."""

    def chosen(limit: str | None, *features: str) -> tuple[int, bool]:
        monkeypatch.setattr(binding, "get_host_cpu_features", lambda: dict.fromkeys(features, True))
        monkeypatch.delenv("HWSIM_SIMD", raising=False)
        if limit is not None:
            monkeypatch.setenv("HWSIM_SIMD", limit)
        return vector_instructions.host.__wrapped__()

    return chosen


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ((), [(0, False)] * 4),
        (("avx2",), [(0, False), (8, False), (8, False), (8, False)]),
        (("avx2", "avx512bw"), [(0, False), (8, False), (16, False), (16, False)]),
        (("avx2", "avx512bw", "avx512vnni"), [(0, False), (8, False), (16, False), (16, True)]),
    ],
)
def test_host_takes_what_the_processor_has_up_to_the_limit(host, features, expected):
    assert [host(limit, *features) for limit in ("portable", "avx2", "avx512", "vnni")] == expected
    assert host(None, *features) == expected[-1]


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
def test_unknown_limit_is_an_error_that_names_the_known_ones(host):
    with pytest.raises(InputError, match=r"^HWSIM_SIMD is 'avx'; expected portable, avx2, avx512 or vnni$"):
        host("avx", "avx2")


def test_signature_that_llvm_does_not_know_is_refused():
    """A process dies where it reaches the compiler: LLVM 15 takes the bytes of vpdpbusd as int32 vectors."""
    name = vector_instructions.PAIRS[8]
    assert vector_instructions._accepted(name, vector_instructions.I16, 8, 2)
    assert not vector_instructions._accepted(name, vector_instructions.I32, 8, 2)


def test_host_without_compilation_is_portable(host, monkeypatch):
    monkeypatch.setattr(vector_instructions.config, "DISABLE_JIT", 1)
    assert host("vnni", "avx2", "avx512bw", "avx512vnni") == (0, False)


@pytest.mark.skipif(not JIT, reason="needs compiled kernels")
@pytest.mark.parametrize(("limit", "lanes"), [("portable", 0), ("avx2", 8), ("avx512", 16)])
def test_layers_and_network_are_exact_with_other_instructions(limit, lanes):
    features = binding.get_host_cpu_features()
    if not all(features.get(name) for name in NEEDS[limit]):
        pytest.skip(f"this processor lacks {', '.join(NEEDS[limit])}")
    environment = os.environ | {"HWSIM_SIMD": limit, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", SMOKE]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    instructions, *lines = done.stdout.splitlines()
    assert instructions == f"{lanes} False"
    assert golden() <= set(lines)
    for name, outputs in operator_outputs().items():
        digest = sha256(b"".join(output.tobytes() for output in outputs)).hexdigest()
        assert f"{name} {digest}" in lines, name
    if lanes:
        cases = layer_cases()
        for case, line in zip(cases, lines[-len(cases) :], strict=True):
            assert line == sha256(layers.portable(case).tobytes()).hexdigest(), layers.about(case)
