"""Number formats of every kind in a .hwsim file: bit for bit, packed, and refused where damaged."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwsim.cost_models import network_of
from hwsim.errors import ModelFormatError, UnsupportedError
from hwsim.graph import Affine, Graph, Levels, Tensor
from hwsim.graph.file import read, save
from hwsim.quantizers.binary import binary, ternary
from hwsim.quantizers.codebook import codebook
from hwsim.quantizers.companding import Companding
from hwsim.quantizers.granularity import per_channel, per_group
from hwsim.quantizers.powers import additive_powers_of_two, powers_of_two
from tests.graph.test_file import file_of, version_1

WEIGHTS = np.random.default_rng(3).normal(0, 1, (5, 7))
FORMS = {
    "lcq": Companding.fit(WEIGHTS, 4).levels().requantized(8),
    "lcq activations": Companding.fit(abs(WEIGHTS), 3, signed=False).levels(),
    "pot": powers_of_two(WEIGHTS, 3, granularity=per_channel(0)),
    "apot": additive_powers_of_two(WEIGHTS, 4, granularity=per_channel(1)),
    "codebook": codebook(WEIGHTS, 2),
    "binary": binary(WEIGHTS, granularity=per_channel(0)),
    "ternary": ternary(WEIGHTS),
    "whole bytes": codebook(np.linspace(-1, 1, 999), 8),
}


def one(tensor: Tensor) -> Graph:
    return Graph("g", (tensor,), (), (), ())


def held(form: Any, **changes: Any) -> Tensor:
    codes = form.encode(WEIGHTS).astype(np.uint8)
    return Tensor("w", codes.shape, "uint8", replace(Levels.of(form), **changes), codes)


def stored(tensor: Tensor, folder: Path) -> bytes:
    save(one(tensor), folder / "g.hwsim")
    return (folder / "g.hwsim").read_bytes()


def damaged(data: bytes, **changes: Any) -> bytes:
    """The same file with other entries in its only format."""
    end = 48 + int.from_bytes(data[8:16], "little")
    header = json.loads(data[48:end])
    header["tensors"][0]["format"].update(changes)
    return file_of(header, data[end:])


@pytest.mark.parametrize("name", FORMS)
def test_levels_come_back_bit_for_bit(name, tmp_path):
    before = held(FORMS[name])
    data = stored(before, tmp_path)
    after = read(data).tensors[0]
    assert isinstance(before.format, Levels) and isinstance(after.format, Levels)
    assert after.format.same_as(before.format) and after.format.bits == before.format.bits
    assert after.format.table.dtype == before.format.table.dtype
    assert after.format.thresholds.tobytes() == FORMS[name].thresholds.tobytes()
    assert after.data.tobytes() == before.data.tobytes() and not after.data.flags.writeable
    assert stored(after, tmp_path) == data
    np.testing.assert_allclose(FORMS[name].levels, after.format.table * after.format.scale[:, None], rtol=1e-6)


@pytest.mark.parametrize(("bits", "dtype"), [(b, d) for b in range(1, 8) for d in ("int8", "uint8")] + [(12, "int16")])
def test_affine_codes_of_few_bits_are_packed(bits, dtype, tmp_path):
    low = -(1 << (bits - 1)) if dtype.startswith("i") else 0
    codes = np.random.default_rng(bits).integers(low, low + (1 << bits), (33, 10)).astype(dtype)
    form = replace(Affine.per_tensor(0.5), bits=bits)
    files = [stored(Tensor("w", codes.shape, dtype, f, codes), tmp_path) for f in (Affine.per_tensor(0.5), form)]
    whole, packed = (len(file) - int.from_bytes(file[8:16], "little") for file in files)
    assert whole - packed == codes.nbytes - (330 * bits + 7) // 8
    after = read(files[1]).tensors[0]
    assert after.format.bits == bits and after.data.dtype == codes.dtype
    np.testing.assert_array_equal(after.data, codes)


@pytest.mark.parametrize("name", FORMS)
def test_flash_is_what_the_file_holds_of_constants(name, tmp_path):
    """Packed codes, and the tables in their narrowest dtype, one row where all slices share it."""
    tensor = held(FORMS[name], thresholds=None)
    data = stored(tensor, tmp_path)
    (record,) = json.loads(data[48 : 48 + int.from_bytes(data[8:16], "little")])["tensors"]
    assert record["data"][1] == (35 * FORMS[name].bits + 7) // 8
    assert tensor.stored_bytes == record["data"][1] + record["format"]["table"][1]
    assert network_of(one(tensor)).flash_bytes == tensor.stored_bytes


def test_a_table_that_all_channels_share_is_stored_once(tmp_path):
    tensor = held(FORMS["apot"], thresholds=None)
    assert tensor.format.table.shape == (7, 15)
    assert tensor.format.stored_table.shape == (1, 15)
    assert tensor.stored_bytes == (35 * 4 + 7) // 8 + 15
    table = read(stored(tensor, tmp_path)).tensors[0].format.table
    np.testing.assert_array_equal(table, tensor.format.table)
    assert not table.flags.writeable


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-128, 127, "int8"), (-1, 128, "int16"), (0, 255, "uint8"), (0, 256, "uint16"), (-(2**15), 0, "int16"),
     (0, 65536, "int32"), (-32769, 5, "int32")],
)  # fmt: skip
def test_tables_take_the_narrowest_dtype(low, high, expected):
    table = Levels(np.array([[low, high]], np.int32), np.ones(1, np.float32), 1).stored_table
    assert (table.dtype.name, table.tolist()) == (expected, [[low, high]])


def test_version_1_tables_are_read(tmp_path):
    """As they were written: int32, a row for each slice, no count of levels."""
    tensor = held(FORMS["apot"])
    data = stored(tensor, tmp_path)
    end = 48 + int.from_bytes(data[8:16], "little")
    header = json.loads(data[48:end])
    form = header["tensors"][0]["format"]
    arrays = data[end:] + bytes(-(len(data) - end) % 64)
    form.pop("levels")
    form.update(table_dtype="int32", table=[len(arrays), 7 * 15 * 4])
    old = version_1(file_of(header, arrays + tensor.format.table.astype("<i4").tobytes()))
    after = read(old).tensors[0]
    assert after.format.same_as(tensor.format)
    np.testing.assert_array_equal(after.data, tensor.data)


def test_constants_without_thresholds(tmp_path):
    after = read(stored(held(FORMS["ternary"], thresholds=None), tmp_path)).tensors[0]
    assert after.format.thresholds is None
    assert str(after.format) == "3 int32 levels behind 2 bits"
    assert str(Levels.of(FORMS["pot"])) == "7 int32 levels behind 3 bits, 5 tables along axis 0"


def test_groups_have_no_place_in_a_graph():
    with pytest.raises(UnsupportedError, match=r"^levels of 3 bits have slices .*; a graph holds up to 8 bits, per "):
        Levels.of(powers_of_two(WEIGHTS, 3, granularity=per_group(0, 2)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 1}, "tensor 0 'w': has 3 levels behind 1 bits; expected 1 to 8 bits, and 2 to 2^bits"),
        ({"bits": 9}, "tensor 0 'w': has 3 levels behind 9 bits; expected 1 to 8 bits, and 2 to 2^bits"),
        ({"bits": 3}, "tensor 0 'w': holds 9 bytes; [5, 7] of 3 bits needs 14: the file is damaged"),
        (
            {"table_dtype": "int64"},
            "tensor 0 'w': its table is 'int64'; expected one of int8, uint8, int16, uint16, int32,",
        ),
        ({"axis": 0}, "tensor 0 'w': has 1 scales; expected 1, or 5 along axis 0"),
        ({"thresholds": [0, 4]}, "cannot read tensor 0 (ValueError: "),
        ({"levels": 2}, "tensor 0 'w': has 3 levels for 1 tables; expected as many in each"),
        ({"levels": 0}, "tensor 0 'w': has 3 levels for 1 tables; expected as many in each"),
        ({"scale": [0, 0]}, "tensor 0 'w': has 3 levels for 0 tables; expected as many in each"),
        ({"kind": "lut"}, "tensor 0 'w': has number format 'lut'; expected affine, levels or grouped"),
        ({"table": [0, 3]}, "tensor 0 'w': its levels are not finite and ascending"),
        ({"bits": "2"}, "cannot read tensor 0 (TypeError: "),
    ],
)
def test_impossible_levels_are_refused(changes, message, tmp_path):
    data = bytearray(stored(held(FORMS["ternary"]), tmp_path))
    if "table" in changes:
        end = 48 + int.from_bytes(data[8:16], "little")
        data[end : end + 3] = bytes([2, 1, 0])
    with pytest.raises(ModelFormatError, match=f"^g: {re.escape(message)}"):
        read(damaged(bytes(data), **changes), "g")


def test_codes_beyond_the_table_are_refused(tmp_path):
    tensor = held(FORMS["ternary"])
    wrong = replace(tensor, data=np.full_like(tensor.data, 3))
    message = r"has code 3; its table has 3 levels$"
    with pytest.raises(ModelFormatError, match=message):
        stored(wrong, tmp_path)
    data = bytearray(stored(tensor, tmp_path))
    data[-9:] = b"\xff" * 8 + b"\x3f"
    with pytest.raises(ModelFormatError, match=message):
        read(damaged(bytes(data)))


def test_bits_behind_the_last_code_are_refused(tmp_path):
    data = bytearray(stored(held(FORMS["ternary"]), tmp_path))
    data[-1] |= 0x80
    with pytest.raises(ModelFormatError, match=r"has bits behind its last code; expected zeros: the file is damaged$"):
        read(damaged(bytes(data)))


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (
            Tensor("w", (1,), "int8", replace(Affine.per_tensor(1.0), bits=8)),
            "is int8 of 8 bits; expected an 8- or 16-bit",
        ),
        (Tensor("w", (1,), "float32", replace(Affine.per_tensor(1.0), bits=4)), "is float32 of 4 bits; expected an 8-"),
        (
            Tensor("w", (1,), "int8", replace(Affine.per_tensor(1.0), bits=2), np.array([2], np.int8)),
            "code 2 at 0; must be",
        ),
        (Tensor("w", (5, 7), "int8", Levels.of(FORMS["ternary"])), "has levels and is int8; expected uint8"),
        (
            Tensor("w", (5, 7), "uint8", replace(Levels.of(FORMS["pot"]), axis=None)),
            "has 5 scales and no axis; expected 1",
        ),
        (
            Tensor("w", (5, 7), "uint8", replace(Levels.of(FORMS["pot"]), scale=np.ones(2, np.float32))),
            "has 2 scales for 5 int32 tables; expected as many, of int32 or float32",
        ),
    ],
)
def test_what_could_not_be_read_back_is_not_written(tensor, message, tmp_path):
    with pytest.raises(ModelFormatError, match=re.escape(message)):
        save(one(tensor), tmp_path / "g.hwsim")
    assert not list(tmp_path.iterdir())


def test_operators_of_other_formats_say_so():
    with pytest.raises(
        UnsupportedError, match=r"^tensor 'w' has 3 int32 levels behind 2 bits; expected scale and zero"
    ):
        _ = held(FORMS["ternary"]).zero_point
