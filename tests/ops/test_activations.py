"""Activations: all codes against the oracle, the C library's tanhf, and what is refused."""

import ctypes
import ctypes.util
import platform

import numpy as np
import pytest

import hwsim
from hwsim.engines import real_engines
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.kernels.tanhf import tanhf
from tests import oracle
from tests.build import codes, single, tensor
from tests.random_activations import MAKERS_ACTIVATIONS

SCALES = (2.0**-12, 0.004, 0.0371, 0.25, 0.9)


def evaluated(values):
    out = np.empty_like(values)
    tanhf(values, out)
    return out


def every_code(op, dtype, scale, output, **options):
    low = np.iinfo(dtype).min
    graph = single(
        op, [tensor("x", (1, 256), dtype, scale, low + 117)], tensor("y", (1, 256), dtype, *output), **options
    )
    return graph, [np.arange(low, low + 256).astype(dtype)[None]]


@pytest.mark.parametrize("engine", sorted(real_engines()))
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("op", sorted(set(MAKERS_ACTIVATIONS) - {"prelu", "relu_n1_to_1"}))
def test_every_code_equals_the_oracle(op, scale, engine):
    output = {"logistic": (1 / 256, -128), "tanh": (1 / 128, 0)}.get(op, (scale * 1.25, -9))
    graph, inputs = every_code(op, "int8", scale, output, **({"alpha": 0.25} if op == "leaky_relu" else {}))
    got = hwsim.simulate(graph, inputs, engine).outputs[0]
    np.testing.assert_array_equal(got, oracle.evaluate(graph, inputs, engine))


def test_tanhf_is_within_two_units_of_the_last_place():
    values = np.concatenate([np.linspace(-24, 24, 2001), np.geomspace(1e-12, 1, 200)]).astype(np.float32)
    exact = np.tanh(values.astype(np.float64)).astype(np.float32)
    assert np.abs(evaluated(values).view(np.int32) - exact.view(np.int32)).max() <= 2


def test_tanhf_equals_the_c_library():
    name, version = platform.libc_ver()
    if name != "glibc" or tuple(map(int, version.split("."))) > (2, 38) or platform.machine() != "x86_64":
        pytest.skip("tanhf of this C library is another function")
    function = ctypes.CDLL(ctypes.util.find_library("m")).tanhf
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    values = np.random.default_rng(0).uniform(-10, 10, 20000).astype(np.float32)
    expected = np.array([function(float(value)) for value in values], np.float32)
    np.testing.assert_array_equal(evaluated(values), expected)


def test_negative_alpha_rounds_ties_as_the_positive_one_negated():
    graph, inputs = every_code("leaky_relu", "int8", 0.5, (0.5, 0), alpha=-0.5)
    got = hwsim.simulate(graph, inputs, "litert-reference").outputs[0]
    np.testing.assert_array_equal(got, oracle.evaluate(graph, inputs, "litert-reference"))


def test_hard_swish_of_a_far_smaller_output_scale_is_refused():
    graph, inputs = every_code("hard_swish", "int8", 1.0, (2.0**-7, 0))
    with pytest.raises(UnsupportedError, match=r"^hard_swish 'y': input scale 1.0 is 128 or more times the output's, "):
        hwsim.simulate(graph, inputs, "tflite-micro")


def test_prelu_slopes_that_do_not_broadcast_are_refused():
    slopes = tensor("a", (3,), "int8", 0.01, data=codes(np.random.default_rng(0), (3,)))
    graph = single("prelu", [tensor("x", (1, 4)), slopes], tensor("y", (1, 4)))
    with pytest.raises(ShapeError, match=r"^prelu 'y': slopes \[3\] do not broadcast to the input's \[1, 4\]$"):
        hwsim.simulate(graph, [np.zeros((1, 4), np.int8)], "tflite-micro")
