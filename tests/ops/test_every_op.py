"""Every operator of the registry, under every engine: against the slow oracles, and against the real engines."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.graph.probes import probe_inputs
from hwsim.ops import operators
from hwsim.verify.reference import installed
from tests import oracle
from tests.random_graphs import MAKERS, many

ENGINES = sorted(hwsim.engines.real_engines())
MICRO_UINT8 = {"dequantize", "reshape", "squeeze"}
"""The only operators that TFLM runs on uint8."""

MICRO_LACKS = {("relu_n1_to_1", "int8")} | {(op, "uint8") for op in MAKERS if op not in MICRO_UINT8}
"""What TFLM refuses, as measured: its other operators, on int8, must run."""

EVERY = [(op, dtype, engine) for op in sorted(MAKERS) for dtype in ("int8", "uint8") for engine in ENGINES]
CASES = [case for case in EVERY if case[2] != "tflite-micro" or case[:2] not in MICRO_LACKS]


def wide(inputs):
    """Float inputs over more than the range of the codes."""
    return [x * 20 if x.dtype == np.float32 else x for x in inputs]


def test_every_operator_has_a_random_maker_and_an_oracle():
    """Operators that no file format has are tested in files of their own."""
    assert set(MAKERS) == {name for name, op in operators().items() if op.sources} == set(oracle.HANDLERS)


def test_outside_names_are_claimed_once():
    names = [op.sources["tflite"] for op in operators().values() if op.sources]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("op", "dtype"), sorted(MICRO_LACKS))
def test_tflite_micro_refuses_what_it_lacks(op, dtype):
    with pytest.raises(UnsupportedError, match=r"^[a-z0-9_]+ 'y\d+': engine 'tflite-micro' cannot run it on "):
        hwsim.compile(many(op, dtype, 12, seed=1), "tflite-micro")


@pytest.mark.parametrize(("op", "dtype", "engine"), CASES)
def test_operator_equals_the_oracle(op, dtype, engine):
    for seed in range(5):
        generator = np.random.default_rng([seed, *op.encode()])
        graph = MAKERS[op](generator, dtype)
        inputs = wide(probe_inputs(graph, 1, seed))
        got = hwsim.simulate(graph, inputs, engine).outputs[0]
        got = got.reshape(4, *graph.tensors[graph.outputs[0]].shape)
        for row in range(4):
            expected = oracle.evaluate(graph, [x[row : row + 1] for x in inputs], engine)
            np.testing.assert_array_equal(got[row], expected, err_msg=f"seed {seed}, row {row}")


@pytest.mark.engine
@pytest.mark.parametrize(("op", "dtype", "engine"), CASES)
def test_operator_equals_the_real_engine(op, dtype, engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    graph = many(op, dtype, 12, seed=1)
    inputs = wide(probe_inputs(graph, 3))
    check = hwsim.verify(graph, inputs, engine=engine)
    assert check.exact, check.explanation
    assert check.compared == len(check.tensors) >= 12
