"""TRANSPOSE_CONV and BATCH_MATMUL: shapes that do not fit, and shapes that the file alone knows."""

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.errors import ShapeError, UnsupportedError
from hwsim.graph import Graph
from hwsim.graph.probes import probe_inputs
from tests.build import codes, constant, single, tensor

OPTIONS = {"padding": "same", "stride_h": 2, "stride_w": 2, "activation": "none"}


def transposed(shape=(1, 8, 6, 3), **options) -> Graph:
    weights = tensor("w", (3, 3, 3, 2), "int8", 0.02, data=codes(np.random.default_rng(0), (3, 3, 3, 2)))
    inputs = [constant("shape", shape), weights, tensor("x", (1, 4, 3, 2)), None]
    return single("transpose_conv", inputs, tensor("y", shape, scale=0.5), **OPTIONS | options)


def product(first, second, out, **options) -> Graph:
    options = {"adj_x": False, "adj_y": False, "asymmetric_quantize_inputs": False} | options
    return single("batch_matmul", [tensor("a", first), tensor("b", second)], tensor("y", out), **options)


@pytest.mark.parametrize(
    ("graph", "text"),
    [
        (transposed((1, 8, 6, 4)), "output shape [1, 8, 6, 4], weights [3, 3, 3, 2] and input [1, 4, 3, 2] do not fit"),
        (transposed(stride_h=0), "stride is 0x2; each must be at least 1"),
        (transposed(padding="full"), "padding is 'full'; expected 'same' or 'valid'"),
        (product((1, 2, 3), (1, 4, 5), (1, 2, 5)), "[1, 2, 3] and [1, 4, 5] are no matrices that multiply"),
        (product((2, 2, 3), (3, 3, 5), (3, 2, 5)), "[2, 2, 3] and [3, 3, 5] are no matrices that multiply"),
        (product((3,), (3, 5), (5,)), "input [3] is no matrix; expected at least 2 dimensions"),
    ],
)
def test_shapes_that_do_not_fit(graph, text):
    with pytest.raises(ShapeError) as raised:
        hwsim.compile(graph, "litert-reference")
    assert str(raised.value) == f"{graph.nodes[0].op} 'y': {text}"


def test_output_shape_may_be_known_to_the_file_alone():
    known = transposed()
    shape = replace(known.tensors[0], data=None)
    unknown = replace(known, tensors=(shape, *known.tensors[1:]), inputs=(0, *known.inputs))
    (x,) = probe_inputs(known, 2)
    sizes = np.tile(np.array([1, 8, 6, 3], np.int32), len(x))
    expected = hwsim.simulate(known, x, "tflite-micro").outputs[0]
    np.testing.assert_array_equal(hwsim.simulate(unknown, [sizes, x], "tflite-micro").outputs[0], expected)


def test_product_into_int32_is_refused():
    graph = single("batch_matmul", [tensor("a", (1, 2, 3)), tensor("b", (1, 3, 2))], tensor("y", (1, 2, 2), "int32"))
    with pytest.raises(UnsupportedError, match="cannot run it on int8>int32; it runs "):
        hwsim.compile(graph, "litert-reference")
