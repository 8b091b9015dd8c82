"""Files damaged by chance or on purpose: only errors of hwsim come out, soon, and in little memory."""

import hashlib
import json
import re
import struct
import tempfile
import time
import tracemalloc
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hwsim
from hwsim.errors import HwsimError, ModelFormatError
from hwsim.graph import Graph
from hwsim.graph.file import MAGIC, save
from hwsim.importers import load_bytes
from hwsim.importers.tflite_writer import to_tflite
from tests.importers.test_tflite_writer import convolution
from tests.importers.tflite_files import TENSOR, File, constant_file, tflite_file

PEAK_PER_BYTE = 20
PEAK_AT_LEAST = 1 << 20
SLOWEST_SECONDS = 5.0

quick = settings(max_examples=150, deadline=500, derandomize=True, database=None)


@cache
def sample(kind: str) -> bytes:
    """A small well-formed file."""
    if kind == "tflite":
        return to_tflite(convolution())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.hwsim"
        save(convolution(), path)
        return path.read_bytes()


@cache
def warm() -> None:
    """Import everything, so that only the file is measured."""
    for kind in ("tflite", "hwsim"):
        load_bytes(sample(kind), f"warm.{kind}")


def outcome(data: bytes, name: str = "m.tflite") -> Graph | HwsimError:
    """The graph, or the error of hwsim; asserts that memory and time stay small."""
    warm()
    tracemalloc.start()
    start = time.process_time()
    try:
        return load_bytes(data, name)
    except HwsimError as error:
        return error
    finally:
        seconds, (_, peak) = time.process_time() - start, tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < PEAK_PER_BYTE * len(data) + PEAK_AT_LEAST
        assert seconds < SLOWEST_SECONDS


def assert_refused(data: bytes, message: str) -> None:
    error = outcome(data)
    assert isinstance(error, ModelFormatError)
    assert re.fullmatch(message, str(error)), str(error)


words = st.one_of(
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 2, 4, 8, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 4]),
)


@pytest.mark.parametrize("kind", ["tflite", "hwsim"])
def test_sample_is_well_formed(kind: str):
    assert isinstance(outcome(sample(kind)), Graph)


@quick
@given(st.sampled_from(["tflite", "hwsim"]), st.data())
def test_changed_bytes(kind: str, data: st.DataObject):
    damaged = bytearray(sample(kind))
    changes = st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), min_size=1, max_size=8)
    for place, value in data.draw(changes):
        damaged[place] = value
    outcome(bytes(damaged))


@quick
@given(st.sampled_from(["tflite", "hwsim"]), st.data())
def test_changed_words(kind: str, data: st.DataObject):
    damaged = bytearray(sample(kind))
    changes = st.lists(st.tuples(st.integers(0, len(damaged) // 4 - 1), words), min_size=1, max_size=4)
    for place, value in data.draw(changes):
        struct.pack_into("<I", damaged, 4 * place, value)
    outcome(bytes(damaged))


@quick
@given(st.sampled_from(["tflite", "hwsim"]), st.data())
def test_truncated(kind: str, data: st.DataObject):
    whole = sample(kind)
    outcome(whole[: data.draw(st.integers(1, len(whole) - 1))], f"m.{kind}")


@quick
@given(st.sampled_from(["tflite", "hwsim"]), st.data())
def test_spliced(kind: str, data: st.DataObject):
    whole = sample(kind)
    places = st.integers(0, len(whole))
    start, end, target = data.draw(places), data.draw(places), data.draw(places)
    outcome(whole[:target] + whole[min(start, end) : max(start, end)] + whole[target:], f"m.{kind}")


@quick
@given(st.binary(min_size=1, max_size=300))
def test_noise_after_the_identifier(noise: bytes):
    outcome(noise[:4].ljust(4, b"\0") + b"TFL3" + noise[4:])
    outcome(MAGIC + (48 + len(noise) // 64 * 64).to_bytes(8, "little") + noise.ljust(64))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=6,
)


@quick
@given(st.data())
def test_changed_header_values(data: st.DataObject):
    whole = sample("hwsim")
    end = 48 + int.from_bytes(whole[8:16], "little")
    header = json.loads(whole[48:end])
    place: Any = header
    while isinstance(place, dict | list) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        parent, key = place, data.draw(st.sampled_from(keys))
        place = place[key]
        if data.draw(st.booleans()):
            break
    parent[key] = data.draw(json_values)
    text = json.dumps(header).encode()
    text += b" " * (-(48 + len(text)) % 64)
    body = text + whole[end:]
    outcome(MAGIC + len(text).to_bytes(8, "little") + hashlib.sha256(body).digest() + body)


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


def test_vector_that_claims_to_be_huge():
    data = tflite_file([{**TENSOR, "name": "long enough to find"}])
    old = struct.pack("<I", 19) + b"long enough to find"
    assert isinstance(outcome(replaced(data, old, struct.pack("<I", 2**32 - 1) + old[4:])), Graph)
    shape = struct.pack("<III", 2, 1, 4)
    for length in (2**31, 2**32 - 1, 2**30 + 1, 1000):
        message = r"m.tflite: cannot read tensor 0 \(ValueError: .*\); the file is damaged, get it anew"
        assert_refused(replaced(data, shape, struct.pack("<III", length, 1, 4)), message)


@pytest.mark.parametrize("count", [10_000, 2**31, 2**32 - 1])
def test_table_count_that_claims_to_be_huge(count: int):
    file = File()
    tensors = file.offsets([file.tensor(**TENSOR)])
    model = file.table("Model", Version=3, Subgraphs=file.offsets([file.table("SubGraph", Tensors=tensors)]))
    file.builder.Finish(model, b"TFL3")
    data = bytearray(file.builder.Output())
    place = len(data) - tensors
    assert data[place : place + 4] == struct.pack("<I", 1)
    struct.pack_into("<I", data, place, count)
    message = rf"m.tflite: the header: refers to more than the file's {len(data)} bytes hold; .*"
    assert_refused(bytes(data), message)


@pytest.mark.parametrize("root", [0, 4, 2**31, 2**32 - 1])
def test_root_that_points_anywhere(root: int):
    data = struct.pack("<I", root) + sample("tflite")[4:]
    assert isinstance(outcome(data), ModelFormatError)


@pytest.mark.parametrize("back", [2**31 - 1, -(2**31), 1, -1, 0, 10_000, -10_000])
def test_vtable_that_lies_anywhere(back: int):
    data = bytearray(sample("tflite"))
    (root,) = struct.unpack_from("<I", data)
    struct.pack_into("<i", data, root, back)
    assert isinstance(outcome(bytes(data)), ModelFormatError)


def test_every_word_that_points_to_itself_or_behind():
    data = sample("tflite")
    for place in range(0, len(data) - 3, 4):
        for value in (0, 2**32 - place, 2**32 - 4, 2**31):
            damaged = bytearray(data)
            struct.pack_into("<I", damaged, place, value & 0xFFFFFFFF)
            try:
                load_bytes(bytes(damaged), "m.tflite")
            except HwsimError:
                continue


def aliased(tensors: int, operators: int = 0, inputs: int = 0, filler: int = 0, **tensor: Any) -> bytes:
    """A file whose vectors name one tensor and one operator many times."""
    file = File()
    buffers = file.offsets([file.buffer(content) for content in (b"", b"\1" * filler)])
    one = file.tensor(**{**TENSOR, **tensor})
    node = file.operator(inputs=(0,) * inputs, outputs=())
    vectors = {"Tensors": file.offsets([one] * tensors), "Operators": file.offsets([node] * operators)}
    subgraph = file.table("SubGraph", **vectors, Inputs=file.numbers((0,)))
    codes = file.offsets([file.operator_code("CONV_2D")])
    model = file.table("Model", Version=3, OperatorCodes=codes, Subgraphs=file.offsets([subgraph]), Buffers=buffers)
    file.builder.Finish(model, b"TFL3")
    return bytes(file.builder.Output())


FULL = (
    r"m.tflite: .*: refers to more than the file's \d+ bytes hold; the file is cut short, damaged, or made to unfold.*"
)


@pytest.mark.parametrize(
    "file",
    [
        {"tensors": 50_000},
        {"tensors": 1, "operators": 50_000},
        {"tensors": 1, "operators": 1000, "inputs": 50_000},
        {"tensors": 1000, "name": "n" * 100_000},
        {"tensors": 1000, "shape": (100_000,), "scale": (1.0,) * 100_000},
        {"tensors": 5000, "shape": (1,) * 32, "filler": 100_000},
    ],
)
def test_one_table_named_many_times(file: dict[str, Any]):
    assert_refused(aliased(**file), FULL)


@pytest.mark.parametrize(
    "file",
    [
        {"tensors": 2000, "filler": 120_000},
        {"tensors": 4000, "filler": 120_000, "scale": None, "shape": None, "name": None},
        {"tensors": 1800, "filler": 120_000, "buffer": 1, "shape": (120_000,)},
        {"tensors": 1, "filler": 120_000, "buffer": 1, "shape": (240_000,), "type": "INT4"},
        {"tensors": 1, "operators": 4000, "filler": 120_000},
        {"tensors": 1, "operators": 4000, "inputs": 8, "filler": 240_000},
    ],
)
def test_as_many_tables_as_a_file_may_hold(file: dict[str, Any]):
    assert isinstance(outcome(aliased(**file)), Graph)


def test_header_of_empty_lists_is_bounded():
    text = b'{"tensors":[' + b"[]," * 60_000 + b"[]]}"
    text += b" " * (-(16 + len(text)) % 64)
    assert isinstance(outcome(MAGIC + len(text).to_bytes(8, "little") + text), ModelFormatError)


def test_scale_that_is_a_signaling_nan():
    data = tflite_file([{**TENSOR, "scale": (0.12345,)}])
    data = replaced(data, struct.pack("<f", 0.12345), struct.pack("<I", 0x7F800001))
    assert_refused(data, r"m.tflite: tensor 0 'x': scale\[0\] is nan; must be finite and not negative")


def test_offset_of_external_buffer_is_bounded():
    for offset, size in ((2**64 - 1, 4), (4, 2**64 - 1), (2**63, 2**63), (2, 2**40)):
        data = constant_file((offset, size), shape=(4,), type="INT8")
        message = rf"m.tflite: tensor 0 'w': its value is {size} bytes at {offset}; the file ends at {len(data)}: .*"
        assert_refused(data, message)


@pytest.mark.parametrize(
    "kinds", [("INT16", "INT16", "FLOAT16"), ("INT8", "FLOAT32", "INT8"), ("INT8", "INT8", "BOOL")]
)
def test_codes_that_meet_reals_with_a_scale(kinds: tuple[str, str, str]):
    tensors = [{**TENSOR, "name": name, "type": kind} for name, kind in zip("aby", kinds, strict=True)]
    options = "AddOptions", {"FusedActivationFunction": 0}
    operators = [{"code": 0, "inputs": (0, 1), "outputs": (2,), "options": options}]
    graph = load_bytes(tflite_file(tensors, operators, ["ADD"], inputs=(0, 1), outputs=(2,)), "reals.tflite")
    for engine in ("litert-reference", "tflite-micro", "xnnpack", "float"):
        with pytest.raises(HwsimError):
            hwsim.compile(graph, engine)
