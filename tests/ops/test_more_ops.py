"""Reductions, comparisons, functions, blocks and state, in every dtype that engines take: against the slow oracles,
step by step, and against the real engines.
"""

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.verify.reference import installed
from tests.oracle_more import steps
from tests.random_graphs import inputs_for, many
from tests.random_more import COMPARISONS, LITERT, MAKERS_MORE, MICRO_ONLY, NUMBERS, STATEFUL

LITERT_REFERENCE = LITERT | {"sum": ("int8", "uint8"), "elu": ()}
"""LiteRT's reference kernels take SUM of int16 too, and do not write all of its output."""

MICRO = LITERT | {
    **dict.fromkeys(COMPARISONS, ("int8", *NUMBERS)),
    **dict.fromkeys(("equal", "not_equal"), ("int8", *NUMBERS, "bool")),
    **dict.fromkeys(("reduce_max", "reduce_min", "arg_min"), ("int8", "float32")),
    **dict.fromkeys(("space_to_batch_nd", "batch_to_space_nd"), ("int8", "float32")),
    **dict.fromkeys(("exp", "gelu", "tile"), ()),
    **dict.fromkeys(("div", "l2_normalization"), ("int8",)),
    "sum": ("int8", "int16"),
    "squared_difference": ("int8", "int16"),
    "fill": ("int8", "int32", "float32"),
    "cast": ("int8", "int16", "int32", "float32", "bool"),
    "neg": ("float32",),
    "select_v2": ("int8", "int16", "float32"),
    "svdf": ("int8", "int8_state"),
    "unidirectional_sequence_lstm": ("int8", "int16"),
}
"""What TensorFlow Lite Micro takes."""

TAKES = {"litert-reference": LITERT_REFERENCE, "litert-optimized": LITERT, "xnnpack": LITERT, "tflite-micro": MICRO}
CODES = {op: (*LITERT[op], *MICRO_ONLY.get(op, ())) for op in sorted(MAKERS_MORE)}
EVERY = [(op, dtype, engine) for engine in TAKES for op, kinds in CODES.items() for dtype in kinds]
CASES = [(op, dtype, engine) for engine in TAKES for op in sorted(MAKERS_MORE) for dtype in TAKES[engine][op]]


@pytest.mark.parametrize(("op", "dtype", "engine"), sorted(set(EVERY) - set(CASES)))
def test_an_engine_refuses_what_it_lacks(op, dtype, engine):
    with pytest.raises(UnsupportedError, match=rf"^[a-z0-9_]+ '(y|set)\d*': engine '{engine}' cannot run it on "):
        hwsim.compile(many(op, dtype, 3, seed=1), engine)


@pytest.mark.parametrize(("op", "dtype", "engine"), CASES)
def test_operator_equals_the_oracle(op, dtype, engine):
    for seed in range(3):
        graph = MAKERS_MORE[op](np.random.default_rng([seed, *op.encode()]), dtype)
        inputs = inputs_for(graph, 1, seed)
        batches = [graph.tensors[i].shape[0] if graph.tensors[i].shape else 1 for i in graph.inputs]
        rows = [[x[k * n : (k + 1) * n] for x, n in zip(inputs, batches, strict=True)] for k in range(4)]
        run = hwsim.simulate(graph, inputs, engine, stateful=True).outputs[0] if inputs else None
        run = hwsim.simulate(graph, [], engine).outputs[0] if run is None else run
        expected = steps(graph, rows if inputs else [[]], engine)
        got = run.reshape(len(expected), *graph.tensors[graph.outputs[0]].shape)
        for step, wanted in enumerate(expected):
            np.testing.assert_array_equal(got[step], wanted, err_msg=f"seed {seed}, step {step}")


@pytest.mark.engine
@pytest.mark.parametrize(("op", "dtype", "engine"), CASES)
def test_operator_equals_the_real_engine(op, dtype, engine):
    if installed(hwsim.engines()[engine]) is None:
        pytest.skip(f"needs the package {hwsim.engines()[engine].package}: pip install 'hwsim[verify]'")
    graph = many(op, dtype, 8, seed=1)
    check = hwsim.verify(graph, inputs_for(graph, 3), engine=engine, stateful=op in STATEFUL)
    assert check.exact, check.explanation
    assert check.compared == len(check.tensors) >= 8
