import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import hwsim
from hwsim.engines import Rule, engine
from hwsim.errors import InputError, ShapeError, UnsupportedError
from hwsim.verify import layer_graph, verify_layer
from hwsim.verify.explain import NOTES
from hwsim.verify.layer import KEYS
from hwsim.verify.reference import RUNNERS, installed
from tests import naive
from tests.build import GENERATOR_SEED, codes
from tests.verify.test_explain import GRAPH, IMAGES, INPUT_SCALE, OUTPUT_SCALE, PAIRS, RULES, accumulators, oracle

_, WEIGHTS, BIAS, _ = GRAPH.tensors
CONV2D = {
    "op": "conv2d",
    "input": IMAGES,
    "input_scale": INPUT_SCALE,
    "input_zero_point": -9,
    "weights": WEIGHTS.data,
    "weight_scale": WEIGHTS.format.scale,
    "bias": BIAS.data,
    "stride": [2, 1],
    "padding": "same",
    "output_scale": OUTPUT_SCALE,
    "output_zero_point": 5,
    "output": oracle("litert-reference"),
}
SCALES = {"input_scale": 0.05, "input_zero_point": -9, "output_scale": 0.25, "output_zero_point": 5}
REAL = naive.effective_scales("float64", float(np.float32(0.05)), [float(np.float32(0.03))], 0.25)


def changed(*without: str, **arrays: Any) -> dict[str, Any]:
    """The convolution's arrays, with some left out and others in their place."""
    return {key: value for key, value in (CONV2D | arrays).items() if key not in without}


def raises(message: str, kind: type[Exception] = InputError) -> Any:
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("name", RULES)
def test_layer_is_what_the_oracle_says(name):
    check = verify_layer(changed(output=oracle(name)), engine=name)
    assert (check.exact, check.samples, check.engine, check.against) == (True, 8, name, "recorded arrays")


@pytest.mark.parametrize(("real", "simulated"), PAIRS)
def test_explanation_names_the_rule_of_the_real_engine(real, simulated):
    check = verify_layer(changed(output=oracle(real)), engine=simulated)
    note = f"simulated with {RULES[simulated]}; {RULES[real]} ({NOTES[RULES[real].algorithm]}) makes all elements equal"
    first, second = check.explanation.splitlines()
    assert first == f"first difference: {check.first_difference}"
    assert second.startswith(f"conv2d, 1 node: {note}")
    assert check.first_difference.details["accumulator"] == accumulators()[check.first_difference.index]


def test_file_made_by_xnnpack_is_explained_as_float32(tmp_path):
    run = hwsim.simulate(layer_graph(CONV2D), IMAGES, "xnnpack")
    np.savez(tmp_path / "layer.npz", **changed(output=run.outputs[0]))
    check = verify_layer(tmp_path / "layer.npz")
    assert (check.engine, check.against, check.exact) == ("litert-reference", "layer.npz", False)
    assert check.reasons["output"].equal[0] == Rule("float32", "float32")
    assert verify_layer(str(tmp_path / "layer.npz"), engine="xnnpack").exact


def test_scalars_defaults_and_single_scale():
    bare = {key: CONV2D[key] for key in ("op", "input", "weights")} | SCALES | {"weight_scale": 0.03}
    sums = naive.conv2d(IMAGES, WEIGHTS.data, None, input_zero_point=-9)
    output = naive.output_stage(sums, "double_rounding", REAL, 5, -128, 127)
    assert verify_layer(bare | {"output": output}).exact
    sums = naive.conv2d(IMAGES, WEIGHTS.data, None, input_zero_point=-9, stride=(2, 2), dilation=(2, 1))
    output = naive.output_stage(sums, "double_rounding", REAL, 5, 5, 29)
    assert verify_layer(bare | {"output": output, "stride": 2, "dilation": (2, 1), "activation": "relu6"}).exact


def test_unsigned_layer_with_a_weight_zero_point():
    g = np.random.default_rng(GENERATOR_SEED)
    x, w = codes(g, (3, 4, 4, 2), "uint8"), codes(g, (5, 2, 2, 2), "uint8")
    sums = naive.conv2d(x, w, None, input_zero_point=120, weight_zero_point=130)
    scales = naive.effective_scales("float32_product", float(np.float32(0.05)), [float(np.float32(0.03))], 32.0)
    output = naive.output_stage(sums, "double_rounding", scales, 128, 0, 255, np.uint8)
    unit = {"input_scale": 0.05, "input_zero_point": 120, "output_scale": 32.0, "output_zero_point": 128}
    weights = {"weights": w, "weight_scale": 0.03, "weight_zero_point": 130}
    assert verify_layer({"op": "conv2d", "input": x, "output": output} | unit | weights).exact


def test_depthwise_layer():
    g = np.random.default_rng(GENERATOR_SEED)
    x, w, bias = codes(g, (3, 5, 5, 2)), g.integers(-20, 20, (1, 3, 3, 4)).astype(np.int8), np.array([5, -60, 70, 8])
    sums = naive.depthwise_conv2d(x, w, bias, stride=(2, 2), padding="same", input_zero_point=-9)
    output = naive.output_stage(sums, "double_rounding", REAL, 5, -128, 127)
    arrays = {"op": "depthwise_conv2d", "input": x, "weights": w, "bias": bias, "output": output, "weight_scale": 0.03}
    assert verify_layer(arrays | SCALES | {"stride": 2, "padding": "same"}).exact


def test_fully_connected_layer_with_rows_between():
    g = np.random.default_rng(GENERATOR_SEED)
    x, w = codes(g, (3, 2, 6)), g.integers(-20, 20, (4, 6)).astype(np.int8)
    sums = naive.fully_connected(x.reshape(6, 6), w, None, input_zero_point=-9)
    output = naive.output_stage(sums, "float64", REAL, 5, -128, 127).reshape(3, 2, 4)
    arrays = {"op": "fully_connected", "input": x, "weights": w, "output": output, "weight_scale": 0.03} | SCALES
    assert verify_layer(arrays).exact
    flat = {"input": x.reshape(3, 12), "weights": np.ones((1, 12), np.int8)}
    with raises("layer: 'output' has shape [3, 2, 4]; expected [3, 1]"):
        verify_layer(arrays | flat)


def test_addition():
    g = np.random.default_rng(GENERATOR_SEED)
    x, y = codes(g, (3, 4, 2)), codes(g, (3, 4, 2))
    first, second, target = (float(np.float32(0.05)), -9), (float(np.float32(0.07)), 3), (0.25, 5)
    output = naive.add(x, y, first, second, target, -128, 127, "reference")
    arrays = {"op": "add", "input": x, "input_2": y, "input_2_scale": 0.07, "input_2_zero_point": 3, "output": output}
    assert verify_layer(arrays | SCALES).exact
    with raises("layer: 'input_2' has 1 rows; expected 3"):
        verify_layer(arrays | SCALES | {"input_2": y[:1]})


@pytest.mark.engine
@pytest.mark.parametrize("without", ["", "bias"])
@pytest.mark.parametrize("name", RUNNERS)
def test_graph_of_a_layer_runs_on_the_real_engine(name, without):
    if installed(engine(name)) is None:
        pytest.skip(f"needs the package {engine(name).package}")
    assert hwsim.verify(layer_graph(changed(without)), IMAGES, engine=name).exact


def test_output_may_be_wider_and_flat():
    wide = CONV2D["output"].astype(np.int64).ravel()
    assert verify_layer(changed(output=wide, bias=BIAS.data.astype(float), op=np.array([b"conv2d"]))).exact
    wide[7] += 1
    assert verify_layer(changed(output=wide)).first_difference.index == (0, 0, 1, 3)


def test_layer_graph_is_one_node_with_a_batch_of_one():
    graph = layer_graph(CONV2D)
    assert [(t.name, t.shape) for t in graph.tensors] == [
        ("input", (1, 5, 4, 3)), ("weights", (4, 2, 2, 3)), ("bias", (4,)), ("output", (1, 3, 4, 4))
    ]  # fmt: skip
    (node,) = graph.nodes
    assert (node.op, node.attributes) == (GRAPH.nodes[0].op, GRAPH.nodes[0].attributes)
    assert_array_equal(graph.tensors[1].format.scale, WEIGHTS.format.scale)


NO_LAYER = (
    "layer: has no key 'op' (add, conv2d, depthwise_conv2d, fully_connected) and no key 'accumulator', so it describes "
    "no layer; if it holds tensors of a model, name the MODEL too"
)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (changed("op"), NO_LAYER),
        ({}, NO_LAYER),
        (changed(op="conv2"), "layer: unknown op 'conv2'; did you mean 'conv2d'?"),
        (changed(op="lstm"),
         "layer: unknown op 'lstm'; expected one of add, conv2d, depthwise_conv2d, fully_connected"),
        (changed(op=1), "layer: 'op' is 1; expected one of add, conv2d, depthwise_conv2d, fully_connected"),
        (changed(wieghts=1), "layer: unknown key of conv2d 'wieghts'; did you mean 'weights'?"),
        (changed(op="fully_connected"), "layer: unknown key of fully_connected 'stride'; expected one of activation, "
         "bias, input, input_scale, input_zero_point, op, output, output_scale and 4 more"),
        (changed("output_scale"), "layer: key 'output_scale' is missing; it has op, input, input_scale, "
         "input_zero_point, weights, weight_scale, bias, stride, padding, output_zero_point, output"),
        (changed(input=IMAGES.astype(int)), "layer: 'input' is int64; expected int8 or uint8"),
        (changed(weights=WEIGHTS.data / 2), "layer: 'weights' is float64; expected int8 or uint8"),
        (changed(bias=BIAS.data / 3),
         "layer: 'bias' is float64 and has values that int32 does not; expected int32"),
        (changed(output=IMAGES[:2] / 3),
         "layer: 'output' is float64 and has values that int8 does not; expected int8"),
        (changed(input=IMAGES[:0]), "layer: 'input' has shape [0, 5, 4, 3]; expected at least one element"),
        (changed(input=IMAGES.ravel()),
         "layer: 'input' has shape [480]; expected rows along axis 0 and at least one more"),
        (changed(weights=WEIGHTS.data[0]), "layer: 'weights' has shape [2, 2, 3]; expected 4 dimensions"),
        (changed(bias=[1, 2, 3]), "layer: 'bias' has 3 values; expected 4, one per output channel"),
        (changed(output=oracle("xnnpack")[:7]), "layer: 'output' has shape [7, 3, 4, 4]; expected [8, 3, 4, 4]"),
        (changed(output=oracle("xnnpack").transpose(0, 3, 1, 2)),
         "layer: 'output' has shape [8, 4, 3, 4]; expected [8, 3, 4, 4]"),
        (changed(weight_scale=[0.1, 0.2]),
         "layer: 'weight_scale' has 2 values; expected 1 or 4, one per output channel"),
        (changed(weight_scale=[0.1, 0.2, -1, 0.4]),
         "layer: 'weight_scale'[2] is -1; expected a number above 0 that float32 can hold"),
        (changed(input_scale=0), "layer: 'input_scale' is 0; expected a number above 0 that float32 can hold"),
        (changed(input_scale=np.nan), "layer: 'input_scale' is nan; expected a number above 0 that float32 can hold"),
        (changed(input_scale=1e-60), "layer: 'input_scale' is 1e-60; expected a number above 0 that float32 can hold"),
        (changed(input_scale=1e60), "layer: 'input_scale' is 1e+60; expected a number above 0 that float32 can hold"),
        (changed(input_scale=[1, 2]), "layer: 'input_scale' has 2 values; expected 1"),
        (changed(input_scale="1"), "layer: 'input_scale' is <U1; expected numbers above 0"),
        (changed(input_zero_point=200), "layer: 'input_zero_point' is 200; expected one integer in [-128, 127]"),
        (changed(output_zero_point=0.5), "layer: 'output_zero_point' is 0.5; expected one integer in [-128, 127]"),
        (changed(output_zero_point=np.inf), "layer: 'output_zero_point' is inf; expected one integer in [-128, 127]"),
        (changed(stride=[1, 2, 1]),
         "layer: 'stride' is [1, 2, 1]; expected one integer or two in [1, 2147483647]"),
        (changed(dilation=0), "layer: 'dilation' is 0; expected one integer or two in [1, 2147483647]"),
        (changed(dilation=np.ones((3, 2))),
         "layer: 'dilation' is float64 of shape [3, 2]; expected one integer or two in [1, 2147483647]"),
        (changed(padding="vaild"), "layer: unknown padding 'vaild'; did you mean 'valid'?"),
        (changed(padding=[[0, 1], [0, 1]]), "layer: 'padding' is [[0, 1], [0, 1]]; expected one of same, valid"),
        (changed(activation="relu7"), "layer: unknown activation 'relu7'; did you mean 'relu'?"),
    ],
)  # fmt: skip
def test_layer_that_does_not_fit(arrays, message):
    with raises(message):
        verify_layer(arrays)


def test_layer_that_contradicts_itself():
    message = "conv2d 'output': 3 input channels, filters of 2, 4 output channels do not split into groups"
    with raises(message, ShapeError):
        layer_graph(changed(weights=WEIGHTS.data[..., :2]))
    with raises("conv2d 'output': per-channel weights have zero points; expected 0", UnsupportedError):
        verify_layer(changed(weight_zero_point=3))
    message = "conv2d 'output': engine 'tflite-micro' cannot run it on uint8; it runs int16, int8"
    unsigned = {"input": IMAGES.view(np.uint8), "output": oracle("xnnpack").view(np.uint8), "input_zero_point": 0}
    with raises(message, UnsupportedError):
        verify_layer(changed(**unsigned), engine="tflite-micro")


def test_layer_file_that_is_none(tmp_path):
    with raises("layer.npy: expected a .npz file with recorded tensors"):
        verify_layer("layer.npy")
    with raises("none.npz: no such file; expected a .npy or .npz file"):
        verify_layer(Path("none.npz"))
    np.savez(tmp_path / "layer.npz", **changed("padding", paddign="same"))
    with raises(f"{tmp_path / 'layer.npz'}: unknown key of conv2d 'paddign'; did you mean 'padding'?"):
        verify_layer(tmp_path / "layer.npz")
    with raises("unknown engine 'xnpack'; did you mean 'xnnpack'?"):
        verify_layer(CONV2D, engine="xnpack")


def test_guide_lists_every_key():
    guide = (Path(__file__).parents[2] / "docs" / "verify.md").read_text()
    for op, keys in KEYS.items():
        assert f"`{op}`" in guide
        assert [key for key in keys if f"`{key}`" not in guide] == []
