"""The `.tflite` importer, on files made by hand from the schema and on published networks."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tflite

from hwsim.errors import GraphError, InputError, ModelFormatError, UnsupportedError
from hwsim.importers import load, load_bytes
from hwsim.ops import by_source
from hwsim.ops._base import CUSTOM_OPTIONS
from tests.importers.tflite_files import TENSOR, constant_file, tflite_file, unary_file

CONV = {
    "Padding": 1,
    "StrideH": 2,
    "StrideW": 3,
    "DilationHFactor": 4,
    "DilationWFactor": 5,
    "FusedActivationFunction": 3,
}
CONV_DEFAULTS = {
    "padding": "same",
    "stride_h": 0,
    "stride_w": 0,
    "dilation_h": 1,
    "dilation_w": 1,
    "activation": "none",
    "quantized_bias_type": "float32",
}


def read(data: bytes):
    return load_bytes(data, "m.tflite")


def exactly(message: str) -> str:
    return f"^{re.escape(message)}$"


def test_load_names_graph_and_keeps_source(tmp_path: Path):
    path = tmp_path / "net.bin"
    path.write_bytes(tflite_file([TENSOR]))
    graph = load(path)
    assert (graph.name, graph.source_format, graph.source) == ("net", "tflite", path.read_bytes())
    assert graph.inputs == graph.outputs == (0,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.tflite", "no such file"),
        ("folder", "is a folder"),
        ("empty.tflite", "is empty"),
    ],
)
def test_load_of_no_file(tmp_path: Path, name: str, message: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.tflite").touch()
    with pytest.raises(InputError, match=f"^{re.escape(str(tmp_path / name))}: {message}.*; expected.*$"):
        load(tmp_path / name)


def test_load_of_device_is_refused():
    with pytest.raises(InputError, match=r"^/dev/zero: is not an ordinary file; expected a .tflite file .*$"):
        load("/dev/zero")


def test_load_of_unknown_content(tmp_path: Path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"not a model")
    expected = f"{path}: begins with b'not a mo'; expected a .tflite file ('TFL3' at byte 4) or a .hwsim file"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        load(path)


def test_missing_identifier():
    expected = "m.tflite: has b'XXXX' at byte 4; expected b'TFL3': not a TensorFlow Lite model"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(tflite_file([TENSOR]).replace(b"TFL3", b"XXXX"))


def test_wrong_schema_version():
    expected = "m.tflite: has schema version 2; expected 3: convert the model anew"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(tflite_file([TENSOR], version=2))


def test_no_subgraph():
    with pytest.raises(ModelFormatError, match=exactly("m.tflite: the header: refers to number 0 of 0 Subgraphs")):
        read(tflite_file([TENSOR], subgraphs=0))


def test_more_subgraphs_are_left_alone():
    assert len(read(tflite_file([TENSOR], subgraphs=2)).tensors) == 1


def test_tensor_names_are_made_unique():
    names = ["a", "a", "", "a#1", b"\xff"]
    graph = read(tflite_file([{**TENSOR, "name": name} for name in names]))
    assert [tensor.name for tensor in graph.tensors] == ["a", "a#1", "tensor_2", "a#1#3", "\\xff"]


@pytest.mark.parametrize(
    "name", ["FLOAT16", "INT32", "UINT8", "INT64", "BOOL", "INT16", "STRING", "RESOURCE", "COMPLEX64"]
)
def test_dtype_has_schema_name(name: str):
    assert read(tflite_file([{**TENSOR, "type": name, "scale": None}])).tensors[0].dtype == name.lower()


def test_unknown_tensor_type():
    expected = "m.tflite: tensor 0 'x': has type number 77; known are 0..18: damaged, or newer than hwsim"
    with pytest.raises(UnsupportedError, match=exactly(expected)):
        read(tflite_file([{**TENSOR, "type": 77}]))


def test_absent_shape_is_scalar():
    assert read(tflite_file([{**TENSOR, "shape": None}])).tensors[0].shape == ()


def test_negative_dimension():
    expected = "m.tflite: tensor 0 'x': dimension 1 is -1; must be 0 or more"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(tflite_file([{**TENSOR, "shape": (2, -1)}]))


def test_too_many_dimensions():
    expected = "m.tflite: tensor 0 'x': has 33 dimensions; at most 32 are possible"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(tflite_file([{**TENSOR, "shape": (1,) * 33}]))


def test_variable():
    assert read(tflite_file([{**TENSOR, "variable": True}], inputs=())).tensors[0].is_variable


def test_variable_with_value():
    expected = "m.tflite: tensor 0 'w': is a variable with a value in the file; LiteRT and hwsim start variables at 0"
    with pytest.raises(UnsupportedError, match=exactly(expected)):
        read(constant_file(b"\1", shape=(1,), type="INT8", variable=True))


def test_sparse_tensor():
    expected = "m.tflite: tensor 0 'x': is stored sparse; hwsim needs it dense: convert the model without sparsity"
    with pytest.raises(UnsupportedError, match=exactly(expected)):
        read(tflite_file([{**TENSOR, "sparse": True}]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64", "float16", "float32", "float64", "bool"])
def test_constant_is_read_only_array(dtype: str):
    values = np.array([[1, 0, 1], [0, 1, 1]], dtype)
    data = read(constant_file(values.tobytes(), shape=(2, 3), type=dtype.upper())).tensors[0].data
    np.testing.assert_array_equal(data, values, strict=True)
    assert not data.flags.writeable
    assert data.flags.aligned


def test_constant_of_wrong_size():
    expected = "m.tflite: tensor 0 'w': holds 5 bytes; [2] of int16 needs 4: the file is damaged"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(constant_file(b"12345", shape=(2,), type="INT16"))


def test_constant_bool_of_other_bytes():
    with pytest.raises(ModelFormatError, match=exactly("m.tflite: tensor 0 'w': byte 1 is 2; a bool is 0 or 1")):
        read(constant_file(b"\1\2", shape=(2,), type="BOOL"))


def test_constant_int4_is_unpacked_low_half_first():
    tensor = read(constant_file(b"\x21\x8f\x07", shape=(5,), type="INT4")).tensors[0]
    np.testing.assert_array_equal(tensor.data, np.array([1, 2, -1, -8, 7], np.int8), strict=True)
    assert (tensor.dtype, tensor.data.flags.writeable) == ("int8", False)


def test_constant_int4_of_wrong_size():
    expected = "m.tflite: tensor 0 'w': holds 1 bytes; [3] of int4 needs 2: the file is damaged"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(constant_file(b"\1", shape=(3,), type="INT4"))


def test_constant_without_elements():
    tensors = [{**TENSOR, "shape": (0, 3)}, {**TENSOR, "name": "y"}]
    data = read(tflite_file(tensors, [{"outputs": (1,), "inputs": (0,)}], ["RNN"], inputs=())).tensors[0].data
    assert (data.shape, data.dtype, data.flags.writeable) == ((0, 3), np.int8, False)


def test_input_without_elements_is_no_constant():
    assert read(tflite_file([{**TENSOR, "shape": (0, 3)}])).tensors[0].data is None


def test_constant_text_has_no_value():
    words = {"name": "words", "shape": (1,), "type": "STRING", "buffer": 1}
    assert read(tflite_file([TENSOR, words], buffers=[b"abc"])).tensors[1].data is None


def test_constant_text_that_is_read_is_refused():
    tensors = [{"name": "words", "shape": (1,), "type": "STRING", "buffer": 1}, TENSOR]
    data = tflite_file(tensors, [{"inputs": (0,), "outputs": (1,)}], ["RNN"], [b"abc"], inputs=(), outputs=(1,))
    expected = (
        r"^m.tflite: operator 0 \(RNN\): reads the constant 'words' of type string; hwsim holds constants of int8.*$"
    )
    with pytest.raises(UnsupportedError, match=expected):
        read(data)


def test_constants_share_one_buffer():
    tensors = [
        {"name": name, "shape": shape, "type": "INT8", "buffer": 1} for name, shape in (("a", (4,)), ("b", (2, 2)))
    ]
    a, b = read(tflite_file(tensors, buffers=[b"1234"], inputs=())).tensors
    assert np.shares_memory(a.data, b.data)
    assert b.data.shape == (2, 2)


def test_constant_beyond_the_flatbuffer():
    size = len(constant_file((2, 4), shape=(4,), type="INT8"))
    data = read(constant_file((size, 4), tail=b"\1\2\3\4", shape=(4,), type="INT8")).tensors[0].data
    np.testing.assert_array_equal(data, np.array([1, 2, 3, 4], np.int8), strict=True)


def test_constant_beyond_the_file():
    size = len(constant_file((2, 4), shape=(4,), type="INT8"))
    expected = f"m.tflite: tensor 0 'w': its value is 4 bytes at {size}; the file ends at {size}: the file is cut short"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(constant_file((size, 4), shape=(4,), type="INT8"))


def test_buffer_out_of_range():
    with pytest.raises(ModelFormatError, match=exactly("m.tflite: tensor 0: refers to number 9 of 1 Buffers")):
        read(tflite_file([{**TENSOR, "buffer": 9}]))


def test_per_tensor_format_ignores_axis():
    form = read(tflite_file([{**TENSOR, "scale": (0.25,), "zero_point": (-3,), "axis": 3}])).tensors[0].format
    assert (form.scale.tolist(), form.zero_point.tolist(), form.axis) == ([0.25], [-3], None)


@pytest.mark.parametrize("zero_point", [None, (0,), (0, 0, 0, 0)])
def test_per_channel_format(zero_point):
    form = read(tflite_file([{**TENSOR, "scale": (1, 2, 3, 4), "zero_point": zero_point, "axis": 1}])).tensors[0].format
    assert (form.scale.tolist(), form.zero_point.tolist(), form.axis) == ([1, 2, 3, 4], [0, 0, 0, 0], 1)
    assert (form.scale.dtype, form.zero_point.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("scale", [(), (0.0,), (0.0, 0.0, 0.0)])
def test_scales_of_zero_are_no_format(scale):
    assert read(tflite_file([{**TENSOR, "scale": scale}])).tensors[0].format is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": (float("nan"),)}, "scale[0] is nan; must be finite and not negative"),
        ({"scale": (1, float("inf"), 1, 1), "axis": 1}, "scale[1] is inf; must be finite and not negative"),
        ({"scale": (-0.5,)}, "scale[0] is -0.5; must be finite and not negative"),
        ({"scale": (1, 2, 3), "axis": 1}, "has 3 scales; expected 1, or 4 along axis 1"),
        ({"scale": (1, 2, 3, 4), "axis": 2}, "its 4 scales run along axis 2; it has axes 0..1"),
        ({"scale": (1, 2, 3, 4), "axis": -1}, "its 4 scales run along axis -1; it has axes 0..1"),
        ({"scale": (1, 2, 3, 4), "zero_point": (0, 0), "axis": 1},
         "has 2 zero points for 4 scales; expected as many, or one"),
        ({"zero_point": (128,)}, "zero_point[0] is 128; int8 must be in [-128, 127]"),
        ({"zero_point": (-1,), "type": "UINT8"}, "zero_point[0] is -1; uint8 must be in [0, 255]"),
        ({"zero_point": (40000,), "type": "INT16"}, "zero_point[0] is 40000; int16 must be in [-32768, 32767]"),
    ],
)  # fmt: skip
def test_impossible_format(change, message: str):
    with pytest.raises(ModelFormatError, match=exactly(f"m.tflite: tensor 0 'x': {message}")):
        read(tflite_file([{**TENSOR, **change}]))


def test_custom_quantization():
    expected = "m.tflite: tensor 0 'x': has a quantization of type 1; expected scale and zero point"
    with pytest.raises(UnsupportedError, match=exactly(expected)):
        read(tflite_file([{**TENSOR, "details": 1}]))


def test_unknown_builtin_keeps_its_name():
    (node,) = read(unary_file(source="RNN")).nodes
    assert (node.op, node.name, node.inputs, node.outputs, node.attributes) == ("RNN", "y", (0,), (1,), {})


@pytest.mark.parametrize(
    ("source", "op"),
    [
        (("CUSTOM", "Detect"), "CUSTOM:Detect"),
        (900, "BUILTIN_900"),
        ((0, None, 24), "RNN"),
        ((24, None, 0), "RNN"),
        ((206, None, 127), "STABLEHLO_COMPOSITE"),
    ],
)  # fmt: skip
def test_operator_code(source, op: str):
    tensors = [TENSOR, {**TENSOR, "name": "y"}]
    codes = [tuple(source) if isinstance(source, tuple) else (source,)]
    assert read(tflite_file(tensors, [{"inputs": (0,), "outputs": (1,)}], codes)).nodes[0].op == op


def test_operator_without_outputs():
    graph = read(tflite_file([TENSOR], [{"inputs": (0,)}], ["RNN"]))
    assert graph.nodes[0].name == "operator_0"


def test_operator_code_out_of_range():
    with pytest.raises(ModelFormatError, match=exactly("m.tflite: operator 0: refers to number 3 of 1 OperatorCodes")):
        read(unary_file(code=3))


def test_options_are_read_by_name():
    (node,) = read(unary_file(source="CONV_2D", options=("Conv2DOptions", CONV))).nodes
    assert node.op == "conv2d"
    assert node.attributes == {
        "padding": "valid", "stride_h": 2, "stride_w": 3, "dilation_h": 4, "dilation_w": 5, "activation": "relu6",
        "quantized_bias_type": "float32",
    }  # fmt: skip


@pytest.mark.parametrize("options", [None, ("Pool2DOptions", {"StrideH": 7})])
def test_missing_options_are_schema_defaults(options):
    assert read(unary_file(source="CONV_2D", options=options)).nodes[0].attributes == CONV_DEFAULTS


def test_unknown_enum_value():
    expected = "m.tflite: operator 0 (CONV_2D): Padding is 5; expected 0..1 (same, valid)"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(unary_file(source="CONV_2D", options=("Conv2DOptions", {**CONV, "Padding": 5})))


def test_intermediates_are_an_option():
    assert read(unary_file(source="CONV_2D", intermediates=(1, 0))).nodes[0].attributes["intermediates"] == (1, 0)


def test_intermediates_out_of_range():
    expected = "m.tflite: operator 0 (RNN): has intermediate tensor 2; expected -1..1"
    with pytest.raises(ModelFormatError, match=exactly(expected)):
        read(unary_file(source="RNN", intermediates=(2,)))


def test_absent_input_stays_absent():
    assert read(unary_file(source="CONV_2D", inputs=(0, -1))).nodes[0].inputs == (0, -1)


@pytest.mark.parametrize("inputs", [(2,), (-2,), (1,)])
def test_inputs_that_cannot_be(inputs):
    with pytest.raises(
        GraphError, match=r"^m.tflite: RNN 'y': (tensor index -?2 is outside 0..1|reads 'y' before .*)$"
    ):
        read(unary_file(source="RNN", inputs=inputs))


IN_TABLES = [op for op in by_source("tflite").values() if op.options and op.options.table != CUSTOM_OPTIONS]


@pytest.mark.parametrize("op", IN_TABLES, ids=lambda op: op.name)
def test_every_options_field_is_in_the_schema(op):
    table = getattr(tflite, op.options.table)
    assert [field for field in op.options.fields.values() if not hasattr(table, field)] == []
    assert hasattr(tflite.BuiltinOperator, op.sources["tflite"])


@pytest.mark.parametrize(
    ("name", "nodes", "constants"),
    [
        ("ad01_int8.tflite", 10, 20),
        ("hello_world_int8.tflite", 3, 6),
        ("keyword_scrambled.tflite", 15, 31),
        ("tf2_mobilenet_v2_1.0_224_ptq.tflite", 68, 108),
        ("trained_lstm_int8.tflite", 4, 15),
        ("seanet/transpose_conv2.tflite", 1, 2),
    ],
)
def test_published_network(shared_models: Callable[[str], Path], name: str, nodes: int, constants: int):
    graph = load(shared_models(name))
    assert len(graph.nodes) == nodes
    assert sum(tensor.is_constant for tensor in graph.tensors) == constants
