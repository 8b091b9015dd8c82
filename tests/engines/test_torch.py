"""PyTorch's quantized linear and conv2d on fbgemm and qnnpack against the real package."""

import warnings
from importlib.util import find_spec

import numpy as np
import pytest

import hwsim
from tests import torch_cases
from tests.build import codes
from tests.processor import has_vnni

CASES = [
    (backend, operator, op)
    for backend in torch_cases.BACKENDS
    for operator, ops in torch_cases.OPERATORS.items()
    for op in ops
]


@pytest.mark.engine
@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch: pip install torch")
@pytest.mark.parametrize(("backend", "operator", "op"), CASES)
def test_operator_equals_the_real_one(backend, operator, op):
    engine = backend if has_vnni() or backend == "qnnpack" else f"{backend}:no_vnni"
    for number in range(12):
        g = np.random.default_rng([number, *op.encode(), 1])
        graph = torch_cases.make(op, g)
        x = codes(g, (3, *graph.tensors[0].shape[1:]), "uint8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = torch_cases.run_torch(backend, operator, graph, x)
        got = hwsim.simulate(graph, [x], engine).outputs[0].reshape(expected.shape)
        np.testing.assert_array_equal(got, expected, err_msg=f"case {number}")
