"""Every pair of byte dtypes, every code: random graphs keep one dtype."""

import numpy as np
import pytest

import hwsim
from hwsim.engines import real_engines
from hwsim.errors import UnsupportedError
from hwsim.verify.reference import installed
from tests.build import single, tensor

PAIRS = [(source, target) for source in ("int8", "uint8") for target in ("int8", "uint8")]
CASES = [(*pair, engine) for pair in PAIRS for engine in sorted(real_engines())]
LACKING = ("uint8", "uint8", "tflite-micro")


def requantize(source, target):
    x, y = tensor("x", (1, 256), source, 0.037, 3), tensor("y", (1, 256), target, 0.1, 5)
    return single("quantize", [x], y), np.arange(256).astype(source).reshape(1, 256)


@pytest.mark.engine
@pytest.mark.parametrize(("source", "target", "engine"), [case for case in CASES if case != LACKING])
def test_requantize_equals_the_real_engine(source, target, engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    graph, codes = requantize(source, target)
    check = hwsim.verify(graph, codes, engine=engine)
    assert check.exact, check.explanation


def test_tflite_micro_refuses_uint8_to_uint8():
    with pytest.raises(UnsupportedError, match=r"^quantize 'y': engine 'tflite-micro' cannot run it on uint8>uint8; "):
        hwsim.compile(requantize("uint8", "uint8")[0], "tflite-micro")
