"""Every operator of the registry, under every engine: against the slow oracles, and against the real engines."""

import numpy as np
import pytest

import hwsim
from hwsim.engines import real_engines
from hwsim.errors import ReferenceEngineError, UnsupportedError
from hwsim.graph.probes import probe_inputs
from hwsim.importers.tflite_writer import to_tflite
from hwsim.ops import operators
from hwsim.verify.reference import installed, run_reference
from tests import oracle
from tests.random_glue import MAKERS_GLUE
from tests.random_graphs import MAKERS, NUMBERS_TOO, dtypes, inputs_for, many
from tests.random_more import MAKERS_MORE

ENGINES = sorted(real_engines())
MICRO_UINT8 = {"dequantize", "reshape", "squeeze"}
"""The only operators that TFLM runs on uint8."""

NOBODY = {
    ("batch_matmul", "uint8"),
    *((op, "int16") for op in ("arg_max", "depth_to_space", "hard_swish", "relu_n1_to_1", "space_to_depth")),
}
"""What no engine runs."""

MICRO_LACKS = {
    ("relu_n1_to_1", "int8"),
    ("batch_matmul", "int16_int8"),
    ("fully_connected", "int8_channels_int4"),
    ("transpose_conv", "int16_int32"),
    *((op, "int16") for op in ("gather", "mirror_pad", "resize_bilinear")),
    *((op, "uint8") for op in MAKERS if op not in MICRO_UINT8),
}
"""What TFLM refuses besides, as measured: its other operators must run."""

LITERT_LACKS = {("quantize", "int8_int32")}
"""What LiteRT refuses and TFLM runs."""

OPERATORS = sorted(set(MAKERS) - set(MAKERS_MORE) - set(MAKERS_GLUE) - {"detection_postprocess"})
"""`test_more_ops`, `test_glue` and `test_detection` have the others."""


def codes(op):
    """The dtypes of `op` but those of plain numbers, which `test_glue` has."""
    return [dtype for dtype in dtypes(op) if dtype not in NUMBERS_TOO.get(op, ())]


EVERY = [(op, dtype, engine) for op in OPERATORS for dtype in codes(op) for engine in ENGINES]
LACKING = {case for case in EVERY if case[:2] in NOBODY | (MICRO_LACKS if case[2] == "tflite-micro" else LITERT_LACKS)}
CASES = [case for case in EVERY if case not in LACKING]


def test_every_operator_has_a_random_maker_and_an_oracle():
    """Operators that no file format has are tested in files of their own."""
    assert set(MAKERS) == {name for name, op in operators().items() if op.sources} == set(oracle.HANDLERS)


def test_outside_names_are_claimed_once():
    names = [op.sources["tflite"] for op in operators().values() if op.sources]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("op", "dtype", "engine"), sorted(LACKING))
def test_an_engine_refuses_what_it_lacks(op, dtype, engine):
    with pytest.raises(UnsupportedError, match=r"^[a-z0-9_]+ 'y\d+': (engine '.*' cannot run it on |.*Lite Micro)"):
        hwsim.compile(many(op, dtype, 12, seed=1), engine)


@pytest.mark.engine
@pytest.mark.parametrize(("op", "dtype", "engine"), sorted(LACKING))
def test_the_real_engine_refuses_it_too(op, dtype, engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    if (op, dtype, engine) == ("transpose_conv", "int16_int32", "tflite-micro"):
        pytest.skip("TFLM runs it, and reads beyond the bias")
    graph = many(op, dtype, 1, seed=1)
    shapes = [graph.tensors[i].shape for i in graph.inputs]
    inputs = [x.reshape(-1, *shape)[:1] for x, shape in zip(probe_inputs(graph, 1), shapes, strict=True)]
    with pytest.raises(ReferenceEngineError, match="could not"):
        run_reference(hwsim.engines()[engine], to_tflite(graph), inputs)


@pytest.mark.parametrize(("op", "dtype", "engine"), CASES)
def test_operator_equals_the_oracle(op, dtype, engine):
    for seed in range(5):
        generator = np.random.default_rng([seed, *op.encode()])
        graph = MAKERS[op](generator, dtype)
        inputs = inputs_for(graph, 1, seed)
        got = hwsim.simulate(graph, inputs, engine).outputs[0]
        got = got.reshape(4, *graph.tensors[graph.outputs[0]].shape)
        rows = [x.reshape(4, *graph.tensors[i].shape) for x, i in zip(inputs, graph.inputs, strict=True)]
        for row in range(4):
            expected = oracle.evaluate(graph, [x[row] for x in rows], engine)
            np.testing.assert_array_equal(got[row], expected, err_msg=f"seed {seed}, row {row}")


@pytest.mark.engine
@pytest.mark.parametrize(("op", "dtype", "engine"), CASES)
def test_operator_equals_the_real_engine(op, dtype, engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    graph = many(op, dtype, 12, seed=1)
    inputs = inputs_for(graph, 3)
    check = hwsim.verify(graph, inputs, engine=engine)
    assert check.exact, check.explanation
    assert check.compared == len(check.tensors) >= 12
