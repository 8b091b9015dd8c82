"""Operators on float32: against integer sums that float32 holds exactly, and within 1e-5 against LiteRT."""

import math
from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.graph import Graph, Tensor
from hwsim.graph.probes import random_inputs
from hwsim.verify.reference import installed
from tests import naive
from tests.build import constant, single, tensor
from tests.random_glue import MAKERS_GLUE
from tests.random_graphs import MAKERS, many

NOT_FLOAT = {
    "quantize", "dequantize", "transpose_conv", "svdf", "unidirectional_sequence_lstm", "read_variable",
    "assign_variable", "logical_and", "logical_or", "logical_not", "detection_postprocess", *MAKERS_GLUE,
}  # fmt: skip
"""Of codes or truth values, with state, not written for floats yet, or tested in a file of their own."""

FLOAT_OPS = sorted(set(MAKERS) - NOT_FLOAT)


def floated(graph: Graph) -> Graph:
    """The float network of which `graph` is the quantized one."""
    return replace(graph, tensors=tuple(map(_floated, graph.tensors)))


def _floated(tensor: Tensor) -> Tensor:
    form = tensor.format
    if form is None:
        return tensor
    data = tensor.data
    if data is not None:
        steps = [1] * data.ndim
        if form.axis is not None:
            steps[form.axis] = -1
        data = ((data - form.zero_point.reshape(steps)) * form.scale.reshape(steps)).astype(np.float32)
    return Tensor(tensor.name, tensor.shape, "float32", None, data)


def whole(generator, shape):
    """Small integers as float32: their products and sums are exact in it."""
    return generator.integers(-9, 10, shape).astype(np.float32)


def inputs_of(graph):
    """Beyond the fused activations; above 0 for what has no value below.

    The sums of layers are beyond them as they are: larger ones would only round more coarsely beside what an activation
    leaves of the range that the tolerance counts in.
    """
    op, inputs = graph.nodes[0].op, random_inputs(graph, 3)
    if op in ("conv2d", "depthwise_conv2d", "fully_connected"):
        return inputs
    inputs = [x * 8 if x.dtype == np.float32 else x for x in inputs]
    return [np.abs(x) + np.float32(0.1) for x in inputs] if op == "rsqrt" else inputs


def layer(op, x, weights, bias, out, **options):
    tensors = [Tensor("x", x.shape, "float32"), constant("w", weights, "float32"), constant("b", bias, "float32")]
    return single(op, tensors, Tensor("y", out, "float32"), **options)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("padding", "stride", "dilation"), [("same", 1, 1), ("same", 2, 1), ("valid", 1, 2)])
def test_conv2d_sums_integers_exactly(padding, stride, dilation, groups):
    g = np.random.default_rng(3)
    x, w, b = whole(g, (3, 8, 7, 4)), whole(g, (6, 3, 2, 4 // groups)), whole(g, 6)
    exact = naive.conv2d(*(a.astype(int) for a in (x, w, b)), stride=(stride, stride), dilation=(dilation, dilation),
                         padding=padding, groups=groups)  # fmt: skip
    options = dict.fromkeys(("stride_h", "stride_w"), stride) | dict.fromkeys(("dilation_h", "dilation_w"), dilation)
    graph = layer("conv2d", x[:1], w, b, (1, *exact.shape[1:]), padding=padding, activation="none", **options)
    np.testing.assert_array_equal(hwsim.simulate(graph, x, "float").outputs[0], exact)
    relu = layer("conv2d", x[:1], w, b, (1, *exact.shape[1:]), padding=padding, activation="relu6", **options)
    np.testing.assert_array_equal(hwsim.simulate(relu, x, "float").outputs[0], np.clip(exact, 0, 6))


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_conv2d_sums_integers_exactly(multiplier):
    g = np.random.default_rng(4)
    x, w, b = whole(g, (2, 5, 6, 3)), whole(g, (1, 3, 3, 3 * multiplier)), whole(g, 3 * multiplier)
    exact = naive.depthwise_conv2d(*(a.astype(int) for a in (x, w, b)), padding="same")
    options = {"stride_h": 1, "stride_w": 1, "padding": "same", "depth_multiplier": multiplier, "activation": "none"}
    graph = layer("depthwise_conv2d", x[:1], w, b, (1, *exact.shape[1:]), **options)
    np.testing.assert_array_equal(hwsim.simulate(graph, x, "float").outputs[0], exact)


def test_fully_connected_sums_integers_exactly():
    g = np.random.default_rng(5)
    x, w, b = whole(g, (4, 30)), whole(g, (7, 30)), whole(g, 7)
    exact = [[int(bias) + sum(int(a) * int(c) for a, c in zip(r, f, strict=True)) for f, bias in zip(w, b, strict=True)]
             for r in x]  # fmt: skip
    graph = layer("fully_connected", x[:1], w, b, (1, 7), activation="none", keep_num_dims=False)
    run = hwsim.simulate(graph, x, "float", keep_tensors=True)
    np.testing.assert_array_equal(run.outputs[0], exact)
    np.testing.assert_array_equal(run.tensors["x"], x)


@pytest.mark.parametrize(("adj_x", "adj_y"), [(False, False), (True, False), (False, True), (True, True)])
def test_batch_matmul_sums_integers_exactly(adj_x, adj_y):
    g = np.random.default_rng(6)
    x, y = whole(g, (2, 1, 4, 5)), whole(g, (3, 5, 6))
    exact = [[[[sum(int(a[r, k]) * int(b[k, c]) for k in range(5)) for c in range(6)] for r in range(4)] for b in y]
             for a in x[:, 0]]  # fmt: skip
    first, second = (a.swapaxes(-1, -2) if turned else a for a, turned in ((x, adj_x), (y, adj_y)))
    ends = [Tensor("x", first.shape, "float32"), Tensor("w", second.shape, "float32")]
    options = {"adj_x": adj_x, "adj_y": adj_y, "asymmetric_quantize_inputs": False}
    graph = single("batch_matmul", ends, Tensor("y", (2, 3, 4, 6), "float32"), **options)
    np.testing.assert_array_equal(hwsim.simulate(graph, [first, second], "float").outputs[0], exact)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_of_float_is_that_of_its_definition(approximate):
    x = np.linspace(-6, 6, 97, dtype=np.float32)
    ends = [Tensor("x", x.shape, "float32")], Tensor("y", x.shape, "float32")
    got = hwsim.simulate(single("gelu", *ends, approximate=approximate), x, "float").outputs[0]
    bent = [math.sqrt(2 / math.pi) * (v + 0.044715 * v**3) for v in x.tolist()]
    half = [1 + math.tanh(b) if approximate else math.erfc(-v / math.sqrt(2)) for v, b in zip(x.tolist(), bent,
            strict=True)]  # fmt: skip
    np.testing.assert_allclose(got, [v * h / 2 for v, h in zip(x.tolist(), half, strict=True)], atol=1e-6)


def test_pools_take_the_taps_inside_the_image():
    x = np.arange(-6, 3, dtype=np.float32).reshape(1, 3, 3, 1)
    options = {"filter_h": 2, "filter_w": 2, "stride_h": 2, "stride_w": 2, "padding": "same", "activation": "none"}
    ends = [Tensor("x", x.shape, "float32")], Tensor("y", (1, 2, 2, 1), "float32")
    pools = [single(f"{kind}_pool_2d", *ends, **options) for kind in ("average", "max")]
    average, largest = (hwsim.simulate(pool, x, "float").outputs[0].reshape(-1).tolist() for pool in pools)
    assert average == [-4.0, -2.5, 0.5, 2.0]
    assert largest == [-2.0, -1.0, 1.0, 2.0]


def test_every_operator_runs_on_float():
    for op in FLOAT_OPS:
        graph = floated(many(op, "int8", 4, seed=2))
        outputs = hwsim.simulate(graph, inputs_of(graph), "float").outputs
        assert all(np.isfinite(out).all() for out in outputs), op


def test_hybrid_layer_gets_a_clear_answer():
    x, w, y = Tensor("x", (1, 3), "float32"), tensor("w", (2, 3), data=np.ones((2, 3))), Tensor("y", (1, 2), "float32")
    graph = single("fully_connected", [x, w, None], y, activation="none")
    with pytest.raises(UnsupportedError, match=r"^fully_connected 'y': weights are int8 and activations float32 "):
        hwsim.compile(graph, "float")


def test_other_engines_refuse_float_layers():
    graph = floated(many("conv2d", "int8", 1))
    with pytest.raises(UnsupportedError, match=r"^conv2d 'y0': engine 'xnnpack' cannot run it on float32; it runs "):
        hwsim.compile(graph, "xnnpack")


@pytest.mark.engine
@pytest.mark.parametrize("op", FLOAT_OPS)
def test_operator_agrees_with_litert(op):
    if installed(hwsim.engines()["float"]) is None:
        pytest.skip("needs the package ai-edge-litert: pip install 'hwsim[verify]'")
    graph = floated(many(op, "int8", 12, seed=1))
    inputs = inputs_of(graph)
    for against in ("litert-reference", "xnnpack") if op != "elu" else ("xnnpack",):  # the reference has no ELU
        check = hwsim.verify(graph, inputs, engine="float", against=against)
        assert check.agrees, f"{against}: {check.explanation}"
        assert check.compared == len(check.tensors) >= 12
