"""TensorFlow Lite Micro's compressed constants: the examples of its documentation, whole files, and files that lie."""

import re
from typing import Any

import flatbuffers
import numpy as np
import pytest

import hwsim
from hwsim.errors import ModelFormatError, UnsupportedError
from hwsim.importers._tflite_compression import decompressed
from hwsim.importers.tflite import read
from hwsim.reports.console import unsupported
from tests.importers.tflite_files import TENSOR, File


def packed(digits: str) -> np.ndarray[Any, Any]:
    return np.array([int(digits[i : i + 8], 2) for i in range(0, len(digits), 8)], np.uint8)


def decoded(digits: str, values: Any, bits: int, shape: Any, axis: int | None = None, dtype: str = "int16") -> Any:
    return decompressed(packed(digits), np.array(values, dtype), bits, shape, axis, "w").tolist()


def test_the_documented_bit_string_of_indices():
    assert decoded("1110000110100000", range(8), 3, (4,)) == [7, 0, 3, 2]


def test_the_documented_table():
    digits = "00101101101010010100001000101100"
    assert decoded(digits, [99, 2, 10, 4, 1, 7], 3, (10,)) == [2, 4, 4, 10, 1, 7, 99, 10, 2, 4]


def test_the_documented_tables_of_two_channels():
    digits, values = "01001101100100001100000101010000", [1, 10, 2, 4, 0, 99, 10, 2, 7, 4]
    expected = [2, 4, 4, 10, 1, 7, 99, 10, 2, 4]
    assert decoded(digits, values, 3, (2, 5), axis=0) == [expected[:5], expected[5:]]


def test_channels_along_the_last_axis_alternate():
    assert decoded("01101100", [1, 2, 10, 20], 1, (1, 4, 2), axis=2) == [[[1, 20], [2, 10], [2, 20], [1, 10]]]


def metadata(*entries: tuple[int, int, int], version: int = 1) -> bytes:
    """The compression metadata of one subgraph: (tensor, value_buffer, index_bitwidth) each."""
    builder = flatbuffers.Builder(0)

    def vector(tables: list[int]) -> int:
        builder.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            builder.PrependUOffsetTRelative(table)
        return int(builder.EndVector())

    tensors = []
    for tensor, values, bits in entries:
        builder.StartObject(3)
        builder.PrependInt32Slot(0, tensor, 0)
        builder.PrependUint32Slot(1, values, 0)
        builder.PrependUint8Slot(2, bits, 0)
        tensors.append(builder.EndObject())
    listed = vector(tensors)
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, listed, 0)
    parts = vector([builder.EndObject()])
    builder.StartObject(2)
    builder.PrependUint32Slot(0, version, 1)
    builder.PrependUOffsetTRelativeSlot(1, parts, 0)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def compressed_file(tensors: Any, buffers: Any, described: bytes, operators: Any = (), outputs: Any = (0,)) -> bytes:
    """A file of one subgraph with compression metadata; its operators are FULLY_CONNECTED."""
    file = File()
    made = [file.tensor(**tensor) for tensor in tensors]
    nodes = [file.operator(**operator) for operator in operators]
    subgraph = file.table(
        "SubGraph", Tensors=file.offsets(made), Operators=file.offsets(nodes), Inputs=file.numbers((0,)),
        Outputs=file.numbers(outputs),
    )  # fmt: skip
    contents = [b"", *buffers, described]
    entry = file.table("Metadata", Name=file.text("COMPRESSION_METADATA"), Buffer=len(contents) - 1)
    model = file.table(
        "Model", Version=3, OperatorCodes=file.offsets([file.operator_code("FULLY_CONNECTED", deprecated=9)]),
        Subgraphs=file.offsets([subgraph]), Buffers=file.offsets([file.buffer(content) for content in contents]),
        Metadata=file.offsets([entry]),
    )  # fmt: skip
    file.builder.Finish(model, b"TFL3")
    return bytes(file.builder.Output())


WEIGHTS = {"name": "w", "shape": (2, 4), "type": "INT8", "scale": (0.5, 0.25), "zero_point": (0, 0), "buffer": 1}
BIAS = {"name": "b", "shape": (2,), "type": "INT32", "scale": (0.25, 0.125), "zero_point": (0, 0), "buffer": 3}
OUTPUT = {**TENSOR, "name": "y", "shape": (1, 2), "scale": (2.0,)}
STRING, TABLE = packed("0001101110110001").tobytes(), np.array([-9, 5, 0, 77, 4, -30, 12, 1], np.int8).tobytes()
EXPECTED = [[-9, 5, 0, 77], [12, 1, 4, -30]]


def layer_file(entry: Any = (1, 2, 2), version: int = 1, string: bytes = STRING, table: bytes = TABLE) -> bytes:
    bias = np.array([100, -7], np.int32).tobytes()
    layer = {"inputs": (0, 1, 2), "outputs": (3,), "options": ("FullyConnectedOptions", {})}
    return compressed_file([TENSOR, WEIGHTS, BIAS, OUTPUT], [string, table, bias], metadata(entry, version=version),
                           [layer], outputs=(3,))  # fmt: skip


def test_a_layer_with_compressed_weights_loads():
    graph = read(layer_file(), "small.tflite")
    assert graph.tensor("w").data.tolist() == EXPECTED
    x = np.array([[1, 2, -3, 4]], np.int8)
    sums = x.astype(int) @ np.array(EXPECTED).T + [100, -7]
    real = sums * [0.5 * 0.5 / 2, 0.5 * 0.25 / 2]
    got = hwsim.simulate(graph, x, "tflite-micro").outputs[0]
    assert np.abs(got - real).max() <= 0.5
    assert "has compressed weights" in unsupported(graph, hwsim.engines()["xnnpack"])[0]
    assert not any("compressed" in reason for reason in unsupported(graph, hwsim.engines()["tflite-micro"]))


@pytest.mark.parametrize(
    ("file", "error", "message"),
    [
        (layer_file(version=2), UnsupportedError, "compression metadata has version 2; hwsim reads version 1"),
        (layer_file((1, 2, 8)), ModelFormatError, "tensor 1: has indices of 8 bits; must be 1 to 7"),
        (layer_file((1, 9, 2)), ModelFormatError, "tensor 1: refers to number 9 of 5 Buffers"),
        (layer_file(string=STRING + b"x"), ModelFormatError,
         "tensor 1 'w': holds 3 bytes; [2, 4] indices of 2 bits need 2"),
        (layer_file(table=TABLE[:4]), ModelFormatError, "tensor 1 'w': index 3 is beyond its table of 2 values"),
        (layer_file(table=TABLE[:7]), ModelFormatError,
         "tensor 1 'w': has 7 values; expected as many for each of 2 channels"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(file, error, message):
    with pytest.raises(error, match=f"^small.tflite: {re.escape(message)}$"):
        read(file, "small.tflite")
