"""What random graphs do not reach: hostile options, and errors that name the node."""

import tracemalloc

import numpy as np
import pytest

import hwsim
from hwsim.errors import GraphError, ShapeError, UnsupportedError
from tests import oracle
from tests.build import codes, constant, single, tensor

OPTIONS = {"padding": "same", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": "none"}


def graph(weights_shape=(3, 3, 3, 2), bias=None, output_scale=0.5, **options):
    generator = np.random.default_rng(3)
    weights = tensor("w", weights_shape, "int8", 0.02, 0, data=codes(generator, weights_shape))
    bias = constant("b", np.zeros(weights_shape[0], np.int32) if bias is None else bias)
    x, y = tensor("x", (1, 4, 5, 2), scale=0.1, zero_point=7), tensor("y", (1, 4, 5, 3), scale=output_scale)
    return single("conv2d", [x, weights, bias], y, **(OPTIONS | options))


@pytest.mark.parametrize("dilation", [1000, 10**6, 2**30])
def test_hostile_dilation_runs_without_a_border(dilation):
    net = graph(dilation_h=dilation, dilation_w=dilation)
    x = codes(np.random.default_rng(1), (1, 4, 5, 2))
    hwsim.simulate(net, x, "tflite-micro")  # kernels compiled now are not counted
    tracemalloc.start()
    got = hwsim.simulate(net, x, "tflite-micro").outputs[0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(got, oracle.evaluate(net, [x], "tflite-micro"))
    assert peak < 4 << 20


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"stride_h": 0}, ShapeError, r"^conv2d 'y': stride is 0x1; each must be at least 1$"),
        ({"padding": "reflect"}, ShapeError, r"^conv2d 'y': padding is 'reflect'; expected 'same' or 'valid'$"),
        ({"bias": np.zeros(2, np.int32)}, GraphError, r"^conv2d 'y': bias is int32 of 2; expected int32 of 3$"),
        (
            {"weights_shape": (3, 3, 3, 3)},
            ShapeError,
            r"^conv2d 'y': 2 input channels, filters of 3, 3 output channels do not split into groups$",
        ),
        (
            {"output_scale": 1e-30},
            UnsupportedError,
            r"^conv2d 'y': shift\[0\] is \d+; must be in \[-31, 30\]: the output scale .* is too small for its inputs$",
        ),
    ],
)
def test_compile_names_what_is_wrong(options, error, message):
    with pytest.raises(error, match=message):
        hwsim.compile(graph(**options), "litert-reference")
