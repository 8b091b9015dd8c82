"""Which instructions are chosen, and the same layers and network under every set that this processor has."""

import os
import subprocess
import sys

import pytest
from llvmlite import binding

from hwsim.kernels import vector_instructions
from tests.conftest import CHECKOUT

JIT = not vector_instructions.config.DISABLE_JIT
NEEDS = {"portable": (), "avx2": ("avx2",), "avx512": ("avx512bw",)}
"""What a processor must have for each value of HWSIM_SIMD; the value 'vnni' is the default, as all other tests run."""

SMOKE = """
import sys
import numpy as np
from rich.console import Console
from hwsim import demo, engines
from hwsim.kernels.vector_tile import LANES, QUADS
from tests.ops import test_vector_layer as layers

assert [LANES, QUADS] == [int(sys.argv[1]), False], (LANES, QUADS)
chosen = {name: engines()[name] for name in ("tflite-micro", "xnnpack")}
demo.engines, demo.installed = lambda: chosen, lambda profile: None
quiet = Console(file=sys.stderr)
assert demo.run_demo(quiet, quiet) == 0
for kind in (layers.ConvLayer, layers.DepthwiseLayer) if LANES else ():
    for rule in layers.RULES:
        for dtype in ("int8", "uint8"):
            for case in layers.random_cases(kind, rule, dtype, 3):
                np.testing.assert_array_equal(layers.vectored(case), layers.portable(case), layers.about(case))
"""


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
def test_host_leaves_out_what_llvm_does_not_know(host, monkeypatch):
    monkeypatch.setattr(vector_instructions, "PAIRS", {16: "llvm.x86.avx512.no.such", 8: vector_instructions.PAIRS[8]})
    assert host(None, "avx2", "avx512bw", "avx512vnni") == (8, False)


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
    command = [sys.executable, "-c", SMOKE, str(lanes)]
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
