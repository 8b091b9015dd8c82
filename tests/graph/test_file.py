"""hwsim's own file: bit for bit, whole or not at all, and safe to read."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.errors import GraphError, InputError, ModelFormatError
from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.graph.file import MAGIC, MAGIC_1, read, save
from hwsim.importers import load

PLACES = "expected a multiple of 64 within the 128 bytes of arrays"
NODE = {"op": "a", "name": "a", "inputs": [], "outputs": [], "attributes": {}}
OPTIONS = {"count": 3, "beta": 0.1, "big": float("inf"), "keep": True, "mode": "same", "axes": (1, -2), "none": ()}


def some_graph(**options: Any) -> Graph:
    scales = np.array([0.1, 1e-38, 3.5], np.float32)
    tensors = (
        Tensor("x", (1, 2), "int8", Affine.per_tensor(0.1, -7)),
        Tensor("w", (3, 2), "int8", Affine.per_channel(scales, 0), np.arange(6, dtype=np.int8).reshape(3, 2)),
        Tensor("f", (2,), "float32", None, np.array([np.nan, -0.0], np.float32)),
        Tensor("none", (0, 4), "int64", None, np.empty((0, 4), np.int64)),
        Tensor("one", (), "bool", None, np.array(True)),
        Tensor("state", (2,), "int16", is_variable=True),
        Tensor("word \N{SNOWMAN}\ud800", (1,), "string"),
        Tensor("y", (1, 3), "int8", Affine.per_channel(np.array([2.0]), 0)),
    )
    return Graph(
        "g", tensors, (Node("fc", "n", (0, 1, -1), (7,), {**OPTIONS, **options}),), (0, 6), (7,), b"source", "tflite"
    )


def stored(graph: Graph, folder: Path) -> bytes:
    save(graph, folder / "g.hwsim")
    return (folder / "g.hwsim").read_bytes()


def file_of(header: Any, arrays: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-(48 + len(text)) % 64)
    return MAGIC + len(text).to_bytes(8, "little") + hashlib.sha256(text + arrays).digest() + text + arrays


def version_1(data: bytes) -> bytes:
    """The same header and arrays as a file of version 1: no checksum, the header padded for its own start."""
    end = 48 + int.from_bytes(data[8:16], "little")
    text = data[48:end].rstrip(b" ")
    text += b" " * (-(16 + len(text)) % 64)
    return MAGIC_1 + len(text).to_bytes(8, "little") + text + data[end:]


def header(**tensor: Any) -> dict[str, Any]:
    record = {"name": "w", "shape": [2], "dtype": "int8", **tensor}
    return {"name": "g", "tensors": [record], "nodes": [], "inputs": [], "outputs": []}


def test_graph_comes_back_bit_for_bit(tmp_path: Path):
    before = some_graph()
    after = read(stored(before, tmp_path))
    assert (after.name, after.inputs, after.outputs) == ("g", (0, 6), (7,))
    assert (after.source, after.source_format) == (None, "hwsim")
    for a, b in zip(before.nodes, after.nodes, strict=True):
        assert (a.op, a.name, a.inputs, a.outputs, a.attributes) == (b.op, b.name, b.inputs, b.outputs, b.attributes)
        assert [type(value) for value in a.attributes.values()] == [type(value) for value in b.attributes.values()]


def test_tensors_come_back_bit_for_bit(tmp_path: Path):
    before = some_graph()
    for a, b in zip(before.tensors, read(stored(before, tmp_path)).tensors, strict=True):
        assert (a.name, a.shape, a.dtype, a.is_variable) == (b.name, b.shape, b.dtype, b.is_variable)
        assert a.format is b.format is None or a.format.same_as(b.format)
        assert (a.data is None) == (b.data is None)
        if a.data is not None:
            assert (a.data.tobytes(), a.data.dtype, a.data.shape) == (b.data.tobytes(), b.data.dtype, b.data.shape)
            assert not b.data.flags.writeable


def test_saving_twice_gives_same_bytes(tmp_path: Path):
    first = stored(some_graph(), tmp_path)
    assert first == stored(read(first), tmp_path)


def test_arrays_are_aligned(tmp_path: Path):
    data = stored(some_graph(), tmp_path)
    start = np.frombuffer(data, np.uint8).ctypes.data
    arrays = [tensor.data for tensor in read(data).tensors if tensor.data is not None and tensor.data.size]
    assert [(array.ctypes.data - start) % 64 for array in arrays] == [0, 0, 0]


def test_foreign_byte_order_is_stored_low_byte_first(tmp_path: Path):
    swapped = np.array([1, 256], np.dtype("int32").newbyteorder())
    data = stored(Graph("g", (Tensor("w", (2,), "int32", None, swapped),), (), (), ()), tmp_path)
    assert read(data).tensors[0].data.tolist() == [1, 256]


def test_graph_saves_and_load_finds_it_by_content(tmp_path: Path):
    some_graph().save(tmp_path / "net.bin")
    assert load(tmp_path / "net.bin").name == "g"


def test_save_replaces_and_leaves_nothing_else(tmp_path: Path):
    (tmp_path / "g.hwsim").write_bytes(b"old")
    assert stored(some_graph(), tmp_path).startswith(MAGIC)
    assert [path.name for path in tmp_path.iterdir()] == ["g.hwsim"]


@pytest.mark.parametrize("name", ["none/g.hwsim", "folder", "bad\0name"])
def test_save_where_no_file_can_be(tmp_path: Path, name: str):
    (tmp_path / "folder").mkdir()
    path = str(tmp_path / name)
    expected = rf"^{re.escape(path)}: cannot write it \(.*\); choose a file in a folder you can write to$"
    with pytest.raises(InputError, match=expected):
        save(some_graph(), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_failed_save_keeps_old_file(tmp_path: Path):
    (tmp_path / "g.hwsim").write_bytes(b"old")
    expected = "^fc 'n': option 'table' is None; expected a number, a name, or a tuple of integers$"
    with pytest.raises(GraphError, match=expected):
        save(some_graph(table=None), tmp_path / "g.hwsim")
    assert (tmp_path / "g.hwsim").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (Tensor("w", (2,), "int8", None, np.zeros(3, np.int8)),
         "tensor 'w': its value is int8 [3]; expected int8 [2], as the tensor declares"),
        (Tensor("w", (2,), "int8", None, np.zeros(2, np.int16)),
         "tensor 'w': its value is int16 [2]; expected int8 [2], as the tensor declares"),
        (Tensor("w", (2,), "int8", Affine.per_tensor(float("nan"))),
         "tensor 'w': scale[0] is nan; must be finite and not negative"),
    ],
)  # fmt: skip
def test_tensor_that_could_not_be_read_back_is_refused(tmp_path: Path, tensor: Tensor, message: str):
    with pytest.raises((GraphError, ModelFormatError), match=f"^{re.escape(message)}$"):
        save(Graph("g", (tensor,), (), (), ()), tmp_path / "g.hwsim")


def affine(**changes: Any) -> dict[str, Any]:
    return {"kind": "affine", "scale": [0, 4], "zero_point": [64, 8], "axis": None, **changes}


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({"data": [0, 3]}, "tensor 0 'w': holds 3 bytes; [2] of int8 needs 2: the file is damaged"),
        ({"data": [64, 65]}, f"tensor 0: its array is 65 bytes at 64; {PLACES}"),
        ({"data": [-64, 2]}, f"tensor 0: its array is 2 bytes at -64; {PLACES}"),
        ({"data": [0, -2]}, f"tensor 0: its array is -2 bytes at 0; {PLACES}"),
        ({"data": [1, 2]}, f"tensor 0: its array is 2 bytes at 1; {PLACES}"),
        ({"shape": [-1]}, "tensor 0 'w': dimension 0 is -1; must be 0 or more"),
        ({"shape": [1] * 33}, "tensor 0 'w': has 33 dimensions; at most 32 are possible"),
        ({"data": [0, 2], "dtype": "bool"}, "tensor 0 'w': byte 0 is 255; a bool is 0 or 1"),
        ({"format": affine(kind="lut")}, "tensor 0 'w': has number format 'lut'; expected affine, levels or grouped"),
        ({"format": affine(scale=[0, 8])}, "tensor 0 'w': has 2 scales and 1 zero points; expected as many"),
        ({"format": affine()}, "tensor 0 'w': scale[0] is nan; must be finite and not negative"),
        ({"format": affine(scale=[64, 8], zero_point=[0, 16])}, "tensor 0 'w': has 2 scales and no axis; expected 1"),
        ({"format": affine(scale=[64, 64], zero_point=[0, 128])}, "tensor 0: the arrays overlap; expected each byte to "
         "belong to one tensor"),
    ],
)  # fmt: skip
def test_impossible_tensor(tensor: dict[str, Any], message: str):
    arrays = b"\xff" * 64 + bytes(64)
    with pytest.raises(ModelFormatError, match=f"^{re.escape(f'm.hwsim: {message}')}$"):
        read(file_of(header(**tensor), arrays), "m.hwsim")


def test_value_of_a_text_is_refused():
    expected = r"^f: tensor 0 'w': holds a value of dtype 'string'; expected one of int8, .*, bool$"
    with pytest.raises(ModelFormatError, match=expected):
        read(file_of(header(dtype="string", data=[0, 0])), "f")


def test_unknown_dtype():
    with pytest.raises(
        ModelFormatError, match=r"^f: tensor 0 'w': has dtype 'int9'; expected one of int8, .*, bfloat16$"
    ):
        read(file_of(header(dtype="int9")), "f")


def test_not_a_file_of_hwsim():
    expected = f"f: begins with b'PK'; expected {MAGIC!r}: not a .hwsim file of version 1 or 2"
    with pytest.raises(ModelFormatError, match=f"^{re.escape(expected)}$"):
        read(b"PK", "f")


@pytest.mark.parametrize("length", [2**64 - 1, 47, 49])
@pytest.mark.parametrize(("magic", "start"), [(MAGIC_1, 16), (MAGIC, 48)])
def test_header_beyond_the_file(length: int, magic: bytes, start: int):
    expected = f"f: its header ends at byte {length + start}; expected a multiple of 64 within the file's 63 bytes"
    with pytest.raises(ModelFormatError, match=f"^{re.escape(expected)}$"):
        read(magic + length.to_bytes(8, "little") + bytes(47), "f")


def test_version_1_is_read(tmp_path: Path):
    data = stored(some_graph(), tmp_path)
    (tmp_path / "old.bin").write_bytes(version_1(data))
    assert stored(load(tmp_path / "old.bin"), tmp_path) == data


def test_every_changed_byte_is_noticed(tmp_path: Path):
    data = stored(some_graph(), tmp_path)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        with pytest.raises(ModelFormatError):
            read(bytes(changed))


def test_a_file_cut_short_is_noticed(tmp_path: Path):
    data = stored(some_graph(), tmp_path)
    expected = "^f: its bytes do not have the checksum it states: the file is damaged, get it anew$"
    with pytest.raises(ModelFormatError, match=expected):
        read(data[:-1], "f")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"{" * 100,
        b"[" * 100_000,
        b'"\xff"',
        json.dumps({**header(), "tensors": "abc"}).encode(),
        json.dumps({**header(), "inputs": [0.5]}).encode(),
        json.dumps({**header(), "name": 1}).encode(),
        json.dumps({**header(), "nodes": [{**NODE, "attributes": []}]}).encode(),
        json.dumps({**header(), "nodes": [{**NODE, "attributes": {"a": {}}}]}).encode(),
        json.dumps({**header(), "nodes": [{**NODE, "inputs": [True]}]}).encode(),
        json.dumps(header(shape={})).encode(),
        json.dumps(header(shape=[])).encode().replace(b"[]", b"[1" + b"0" * 5000 + b"]"),
    ],
)
def test_header_of_other_content(content: bytes):
    with pytest.raises(
        ModelFormatError, match=r"^f: cannot read (the header|the graph|(tensor|node) 0) \(.*\); .* damaged"
    ):
        read(file_of(content), "f")


def test_graph_that_contradicts_itself():
    with pytest.raises(GraphError, match=r"^f: graph 'g': tensor index 3 is outside 0..0$"):
        read(file_of({**header(), "outputs": [3]}), "f")
