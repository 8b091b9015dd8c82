"""Graph to `.tflite`: read back by hwsim, laid out as the schema wants, and run by real engines."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tflite

from hwsim.errors import GraphError, UnsupportedError
from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.importers import load, load_bytes
from hwsim.importers.tflite_writer import to_tflite
from tests.build import single, tensor

OPTIONS = {
    "padding": "same", "stride_h": 1, "stride_w": 2, "dilation_h": 1, "dilation_w": 1, "activation": "relu6",
    "quantized_bias_type": "float32",
}  # fmt: skip


def convolution(**changes: Any) -> Graph:
    generator = np.random.default_rng(1)
    weights = generator.integers(-127, 128, (8, 3, 3, 2), np.int8)
    inputs = [
        tensor("x", (1, 4, 6, 2), zero_point=3),
        tensor("w", (8, 3, 3, 2), scale=np.arange(1, 9) / 4096, axis=0, data=weights),
        tensor("b", (8,), "int32", scale=np.arange(1, 9) / 40960, axis=0, data=np.arange(8)),
    ]
    return single("conv2d", inputs, tensor("y", (1, 4, 3, 8), zero_point=-128), **{**OPTIONS, **changes})


def model(graph: Graph) -> Any:
    return tflite.Model.GetRootAs(to_tflite(graph), 0)


def assert_same(a: Graph, b: Graph) -> None:
    assert (a.inputs, a.outputs, len(a.tensors)) == (b.inputs, b.outputs, len(b.tensors))
    for x, y in zip(a.nodes, b.nodes, strict=True):
        assert (x.op, x.name, x.inputs, x.outputs, x.attributes) == (y.op, y.name, y.inputs, y.outputs, y.attributes)
    for left, right in zip(a.tensors, b.tensors, strict=True):
        assert (left.name, left.shape, left.dtype, left.is_variable) == (
            right.name, right.shape, right.dtype, right.is_variable
        )  # fmt: skip
        assert left.format is right.format is None or left.format.same_as(right.format)
        np.testing.assert_array_equal(left.data, right.data, strict=True)


def run_litert(data: bytes, seed: int = 0) -> list[Any]:
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(model_content=data)
    interpreter.allocate_tensors()
    generator = np.random.default_rng(seed)
    for detail in interpreter.get_input_details():
        low, high = np.iinfo(detail["dtype"]).min, np.iinfo(detail["dtype"]).max
        codes = generator.integers(low, high, detail["shape"], detail["dtype"], endpoint=True)
        interpreter.set_tensor(detail["index"], codes)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def test_written_graph_reads_back():
    graph = convolution()
    assert_same(graph, load_bytes(to_tflite(graph), "one.tflite"))


def test_writing_twice_gives_same_bytes():
    assert to_tflite(convolution()) == to_tflite(convolution())


def test_litert_runs_what_is_written():
    (output,) = run_litert(to_tflite(convolution()))
    assert (output.shape, output.dtype) == ((1, 4, 3, 8), np.int8)
    assert np.unique(output).size > 4


def test_tflite_micro_runs_what_is_written():
    runtime = pytest.importorskip("tflite_micro").runtime
    interpreter = runtime.Interpreter.from_bytes(to_tflite(convolution()))
    x = np.random.default_rng(0).integers(-128, 128, (1, 4, 6, 2), np.int8)
    interpreter.set_input(x, 0)
    interpreter.invoke()
    np.testing.assert_array_equal(interpreter.get_output(0), run_litert(to_tflite(convolution()))[0])


def test_constants_are_aligned_and_buffer_0_is_empty():
    data = to_tflite(convolution())
    written = tflite.Model.GetRootAs(data, 0)
    arrays = [written.Buffers(index).DataAsNumpy() for index in range(1, written.BuffersLength())]
    start = np.frombuffer(data, np.uint8).ctypes.data
    assert written.Buffers(0).DataLength() == 0
    assert [(array.ctypes.data - start) % 16 for array in arrays] == [0, 0]
    assert (data[4:8], written.Version()) == (b"TFL3", 3)


def test_equal_constants_share_a_buffer():
    zeros = np.zeros((1, 2), np.int8)
    graph = single("add", [tensor("a", (1, 2), data=zeros), tensor("b", (1, 2), data=zeros)], tensor("y", (1, 2)))
    assert model(graph).BuffersLength() == 2


@pytest.mark.parametrize(("dtype", "version"), [("int8", 3), ("int16", 4), ("uint8", 1)])
def test_operator_version_follows_dtype(dtype: str, version: int):
    graph = convolution()
    tensors = [replace(t, dtype=dtype, data=None if t.data is None else t.data.astype(dtype)) for t in graph.tensors]
    code = model(replace(graph, tensors=tuple(tensors))).OperatorCodes(0)
    assert (code.BuiltinCode(), code.DeprecatedBuiltinCode(), code.Version()) == (3, 3, version)


def test_operator_version_follows_options():
    size = Tensor("size", (2,), "int32", data=np.array([4, 4], np.int32))
    graph = single(
        "resize_bilinear", [tensor("x", (1, 2, 2, 1)), size], tensor("y", (1, 4, 4, 1)), half_pixel_centers=True
    )
    assert model(graph).OperatorCodes(0).Version() == 3


def test_variable_and_intermediates_read_back():
    graph = convolution(intermediates=(0, 3))
    graph = replace(graph, tensors=(*graph.tensors, Tensor("state", (2,), "int8", is_variable=True)))
    assert_same(graph, load_bytes(to_tflite(graph), "one.tflite"))


@pytest.mark.parametrize("shape", [(), (0, 3), (1,), (2, 3)])
def test_tuple_option_and_odd_shapes_read_back(shape: tuple[int, ...]):
    graph = single("reshape", [tensor("x", shape)], tensor("y", shape), new_shape=shape)
    assert_same(graph, load_bytes(to_tflite(graph), "one.tflite"))


def test_empty_constant_reads_back():
    axes = Tensor("axes", (0,), "int32", data=np.empty(0, np.int32))
    graph = single("mean", [tensor("x", (2, 3)), axes], tensor("y", (2, 3)), keep_dims=True)
    assert_same(graph, load_bytes(to_tflite(graph), "one.tflite"))


def test_name_that_is_no_utf8_is_escaped():
    graph = replace(convolution(), name="caf\udce9")
    assert model(graph).Subgraphs(0).Name() == b"caf\\udce9"


def refuses(error: type[Exception], message: str) -> Any:
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def test_unknown_operator_is_refused():
    graph = single("RNN", [tensor("x", (1,))], tensor("y", (1,)))
    expected = "RNN 'y': hwsim cannot write this operator to a .tflite file; save the graph as .hwsim"
    with refuses(UnsupportedError, expected):
        to_tflite(graph)


def test_unknown_option_is_refused():
    graph = single("softmax", [tensor("x", (1, 2))], tensor("y", (1, 2)), beta=1.0, table="lut")
    expected = "softmax 'y': option 'table' has no place in a .tflite file; it holds beta"
    with refuses(UnsupportedError, expected):
        to_tflite(graph)


def test_unknown_enum_name_is_refused():
    expected = "conv2d 'y': option 'padding' is 'explicit'; a .tflite file knows same, valid"
    with refuses(UnsupportedError, expected):
        to_tflite(convolution(padding="explicit"))


def test_option_out_of_range_is_refused():
    with pytest.raises(
        GraphError, match=r"^conv2d 'y': its options do not fit the file's Conv2DOptions \(.*StrideH .*$"
    ):
        to_tflite(convolution(stride_h=2**40))


def test_dtype_without_place_is_refused():
    graph = single("reshape", [Tensor("x", (1,), "int2")], tensor("y", (1,)))
    with refuses(UnsupportedError, "tensor 'x': dtype 'int2' has no place in a .tflite file"):
        to_tflite(graph)


def test_constant_that_contradicts_its_tensor_is_refused():
    wrong = Tensor("w", (2,), "int8", Affine.per_tensor(1), np.zeros(3, np.int8))
    graph = Graph("g", (wrong,), (), (), ())
    expected = "tensor 'w': its value is int8 [3]; expected int8 [2], as the tensor declares"
    with refuses(GraphError, expected):
        to_tflite(graph)


def test_more_than_a_file_holds_is_refused():
    huge = Tensor("w", (2**31,), "int8", None, np.broadcast_to(np.int8(0), (2**31,)))
    with refuses(UnsupportedError, f"graph 'g': has {2**31} bytes of constants; a .tflite file holds {2**31 - 2**20}"):
        to_tflite(Graph("g", (huge,), (Node("add", "n", (0, 0), (), {}),), (), ()))


@pytest.mark.parametrize(
    "name",
    [
        "hello_world_int8",
        "kws_ref_model",
        "micro_speech_quantized",
        "pretrainedResnet_quant",
        "seanet/conv4",
        "vww_96_int8",
    ],
)
def test_published_network_written_again_gives_same_outputs(shared_models: Callable[[str], Path], name: str):
    path = shared_models(f"{name}.tflite")
    for ours, original in zip(run_litert(to_tflite(load(path))), run_litert(path.read_bytes()), strict=True):
        np.testing.assert_array_equal(ours, original, strict=True)
