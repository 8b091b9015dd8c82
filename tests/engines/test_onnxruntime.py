"""ONNX Runtime's operators against the real package, a sample of what scripts/conformance_onnx_torch.py runs."""

from importlib.util import find_spec

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.kernels.matmul import accumulate_int16_pairs
from tests import onnx_cases
from tests.processor import has_vnni
from tests.random_graphs import MAKERS

MISSING = [name for name in ("onnx", "onnxruntime") if find_spec(name) is None]
CASES = [
    (operator, op, kind)
    for operator, (ops, kinds) in onnx_cases.OPERATORS.items()
    for op in ops
    for kind in kinds
]  # fmt: skip
ENGINE = "onnxruntime-x86" if has_vnni() else "onnxruntime-x86:no_vnni"


@pytest.mark.engine
@pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)}: pip install {' '.join(MISSING)}")
@pytest.mark.parametrize(("operator", "op", "kind"), CASES)
def test_operator_equals_the_real_one(operator, op, kind):
    for number in range(12):
        g = np.random.default_rng([number, *operator.encode(), *kind.encode(), 1])
        graph = onnx_cases.make(operator, op, kind, g)
        inputs = onnx_cases.random_inputs(graph, g)
        expected = onnx_cases.run_onnx(operator, graph, inputs)
        got = hwsim.simulate(graph, inputs, ENGINE).outputs[0].reshape(expected.shape)
        np.testing.assert_array_equal(got, expected, err_msg=f"case {number}")


def test_pairs_saturate_only_where_uint8_meets_int8():
    pair = np.array([[255, 255]], np.int16), np.array([[127, 127]], np.int16), np.zeros(1, np.int32)
    sums = np.empty((1, 1), np.int32)
    accumulate_int16_pairs(*pair, sums)
    assert sums[0, 0] == 32767
    g = np.random.default_rng(1)
    graph = onnx_cases.make("MatMulInteger", "fully_connected", "uint8 int8", g)
    inputs = [np.full((1, *graph.tensors[0].shape[1:]), 255, np.uint8)]
    exact, paired = (
        hwsim.simulate(graph, inputs, e).outputs[0] for e in ("onnxruntime-x86", "onnxruntime-x86:no_vnni")
    )
    assert (exact != paired).any()


def test_what_onnx_runtime_lacks_is_refused():
    with pytest.raises(UnsupportedError, match=r"engine 'onnxruntime-x86' "):
        hwsim.compile(MAKERS["hard_swish"](np.random.default_rng(0), "int8"), "onnxruntime-x86")
