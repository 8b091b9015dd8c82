"""Number formats and packed codes in a .hwsim file."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError, ModelFormatError
from hwsim.graph._json import integers, text
from hwsim.graph._stored import (
    check_axis,
    check_not_negative,
    checked_affine,
    constant,
    constant_bytes,
    frozen,
    little_endian,
)
from hwsim.graph.formats import Affine, Format, Grouped, Levels
from hwsim.graph.graph import Tensor
from hwsim.quantizers.packing import pack, packed_bytes, unpack

Add = Callable[[bytes], list[int]]
Raw = Callable[[object], NDArray[np.uint8]]
TABLE_DTYPES = ("int32", "float32")
STORED_DTYPES = ("int8", "uint8", "int16", "uint16", *TABLE_DTYPES)


def format_record(form: Format, tensor: Tensor, add: Add) -> dict[str, Any]:
    """The JSON of a format, its arrays handed to `add`; ModelFormatError where it contradicts its tensor."""
    label = f"tensor {tensor.name!r}"
    if isinstance(form, Affine):
        checked = checked_affine(form.scale, form.zero_point, form.axis, tensor, label)
        _check_bits(form.bits, tensor.dtype, label)
        record = {"kind": "affine", "scale": add(little_endian(checked.scale)),
                  "zero_point": add(little_endian(checked.zero_point)), "axis": checked.axis}  # fmt: skip
        return record if form.bits is None else {**record, "bits": form.bits}
    if isinstance(form, Grouped):
        _check_grouped(form, tensor, label)
        arrays = {"scale": add(little_endian(form.scale)), "multipliers": add(little_endian(form.multipliers))}
        return {"kind": "grouped", "bits": form.bits, "axis": form.axis, "size": form.size, **arrays}
    _check_levels(form, tensor, label)
    table = form.stored_table
    return {
        "kind": "levels",
        "bits": form.bits,
        "axis": form.axis,
        "levels": table.shape[1],
        "table_dtype": table.dtype.name,
        "table": add(little_endian(table)),
        "scale": add(little_endian(form.scale)),
        "thresholds": None if form.thresholds is None else add(little_endian(form.thresholds)),
    }


def read_format(record: dict[str, Any], tensor: Tensor, raw: Raw, label: str) -> Format:
    """The format that `format_record` wrote; `raw` gives the bytes of an array."""
    axis = None if record["axis"] is None else integers([record["axis"]])[0]
    if record["kind"] == "levels":
        return _read_levels(record, axis, tensor, raw, label)
    if record["kind"] == "grouped":
        return _read_grouped(record, axis, tensor, raw, label)
    if record["kind"] != "affine":
        kind = record["kind"]
        raise ModelFormatError(f"{label}: has number format {kind!r}; expected affine, levels or grouped")
    scale, zero_point = raw(record["scale"]).view("<f4"), raw(record["zero_point"]).view("<i8")
    if scale.size != zero_point.size:
        raise ModelFormatError(f"{label}: has {scale.size} scales and {zero_point.size} zero points; expected as many")
    form = checked_affine(scale, zero_point, axis, tensor, label)
    if "bits" not in record:
        return form
    (bits,) = integers([record["bits"]])
    _check_bits(bits, tensor.dtype, label)
    return Affine(form.scale, form.zero_point, axis, bits)


def stored_codes(tensor: Tensor) -> bytes:
    """The constant of `tensor` as a file holds it: codes of fewer bits than the dtype's packed."""
    bits, whole = _packed_bits(tensor.format), constant_bytes(tensor)
    if bits is None or tensor.data is None:
        return whole
    _check_table(tensor.data, tensor.format, f"tensor {tensor.name!r}")
    try:
        return pack(tensor.data, bits, signed=tensor.data.dtype.kind == "i").tobytes()
    except InputError as error:
        raise ModelFormatError(f"tensor {tensor.name!r}: {error}") from None


def read_codes(raw: NDArray[np.uint8], tensor: Tensor, label: str) -> NDArray[Any]:
    """The constant that `stored_codes` wrote, read-only."""
    bits = _packed_bits(tensor.format)
    if bits is None:
        return constant(raw, tensor.dtype, tensor.shape, label)
    count = prod(tensor.shape)
    if raw.size != packed_bytes(count, bits):
        raise ModelFormatError(
            f"{label}: holds {raw.size} bytes; {list(tensor.shape)} of {bits} bits needs {packed_bytes(count, bits)}: "
            "the file is damaged"
        )
    if raw.size and int(raw[-1]) >> (1 + (count * bits - 1) % 8):
        raise ModelFormatError(f"{label}: has bits behind its last code; expected zeros: the file is damaged")
    kind = np.dtype(tensor.dtype)
    codes = unpack(raw, count, bits, signed=kind.kind == "i", dtype=kind).reshape(tensor.shape)
    _check_table(codes, tensor.format, label)
    codes.setflags(write=False)
    return codes


def _read_levels(record: dict[str, Any], axis: int | None, tensor: Tensor, raw: Raw, label: str) -> Levels:
    (bits,) = integers([record["bits"]])
    scale = frozen(raw(record["scale"]).view("<f4"), np.float32)
    table = _read_table(record, scale.size, raw, label)
    thresholds = None
    if record["thresholds"] is not None:
        thresholds = frozen(raw(record["thresholds"]).view("<f8"), np.float64)
        if thresholds.size != table.size - len(table):
            raise ModelFormatError(
                f"{label}: has {thresholds.size} thresholds; expected {table.size - len(table)}, one between two levels"
            )
        thresholds = thresholds.reshape(len(table), -1)
    form = Levels(table, scale, bits, axis, thresholds)
    _check_levels(form, tensor, label)
    return form


def _read_grouped(record: dict[str, Any], axis: int | None, tensor: Tensor, raw: Raw, label: str) -> Grouped:
    bits, size = integers([record["bits"], record["size"]])
    scale = frozen(raw(record["scale"]).view("<f4"), np.float32)
    multipliers = frozen(raw(record["multipliers"]), np.uint8)
    if axis is None or not scale.size or multipliers.size % scale.size:
        raise ModelFormatError(f"{label}: has {multipliers.size} multipliers for {scale.size} channels of axis {axis}")
    form = Grouped(scale, multipliers.reshape(scale.size, -1), size, bits, axis)
    _check_grouped(form, tensor, label)
    return form


def _check_grouped(form: Grouped, tensor: Tensor, label: str) -> None:
    """ModelFormatError where runs, channels or codes do not fit the tensor."""
    if tensor.dtype != "int8" or type(form.bits) is not int or not 2 <= form.bits <= 8:
        raise ModelFormatError(f"{label}: is {tensor.dtype} of {form.bits} bits in groups; expected int8, 2 to 8 bits")
    check_not_negative(form.scale, label)
    channels = tensor.shape[form.axis] if 0 <= form.axis < len(tensor.shape) else -1
    weights = prod(tensor.shape) // max(channels, 1)
    runs = -(-weights // form.size) if type(form.size) is int and form.size > 0 else -1
    shape = form.multipliers.shape
    if form.multipliers.dtype != np.uint8 or shape != (channels, runs) or form.scale.shape != (channels,):
        raise ModelFormatError(
            f"{label}: has {list(shape)} multipliers and {form.scale.size} scales for {channels} channels of {weights} "
            f"weights in runs of {form.size}; expected [{channels}, {runs}] of uint8"
        )
    if form.multipliers.size and int(form.multipliers.min()) < 1:
        raise ModelFormatError(f"{label}: has the multiplier 0; expected at least 1")


def _read_table(record: dict[str, Any], slices: int, raw: Raw, label: str) -> NDArray[Any]:
    """The levels (slices, count); one row in the file stands for all slices. Version 1 does not state the count."""
    name = text(record["table_dtype"])
    if name not in STORED_DTYPES:
        raise ModelFormatError(f"{label}: its table is {name!r}; expected one of {', '.join(STORED_DTYPES)}")
    stored = raw(record["table"]).view(np.dtype(name).newbyteorder("<"))
    table = stored.astype(np.float32 if name == "float32" else np.int32)
    count = integers([record["levels"]])[0] if "levels" in record else table.size // max(slices, 1)
    if slices < 1 or count < 1 or table.size not in (count, slices * count):
        raise ModelFormatError(f"{label}: has {table.size} levels for {slices} tables; expected as many in each")
    return frozen(np.broadcast_to(table.reshape(-1, count), (slices, count)), table.dtype.type)


def _check_levels(form: Levels, tensor: Tensor, label: str) -> None:
    if tensor.dtype != "uint8":
        raise ModelFormatError(f"{label}: has levels and is {tensor.dtype}; expected uint8, the codes of a table")
    if type(form.bits) is not int or not 1 <= form.bits <= 8 or not 2 <= form.table.shape[1] <= 1 << form.bits:
        raise ModelFormatError(
            f"{label}: has {form.table.shape[1]} levels behind {form.bits} bits; expected 1 to 8 bits, and 2 to 2^bits"
        )
    if form.table.dtype.name not in TABLE_DTYPES or form.scale.shape != form.table.shape[:1]:
        raise ModelFormatError(
            f"{label}: has {form.scale.size} scales for {len(form.table)} {form.table.dtype} tables; "
            f"expected as many, of {' or '.join(TABLE_DTYPES)}"
        )
    check_not_negative(form.scale, label)
    check_axis(form.scale.size, form.axis, tensor.shape, label)
    for name, rows in (("levels", form.table), ("thresholds", form.thresholds)):
        if rows is not None and not (np.isfinite(rows).all() and (np.diff(rows.astype(np.float64)) >= 0).all()):
            raise ModelFormatError(f"{label}: its {name} are not finite and ascending")


def _check_table(codes: NDArray[Any], form: Format | None, label: str) -> None:
    """Codes that no level stands for would be read beyond the table."""
    if isinstance(form, Levels) and codes.size and int(codes.max()) >= form.table.shape[1]:
        raise ModelFormatError(f"{label}: has code {int(codes.max())}; its table has {form.table.shape[1]} levels")


def _check_bits(bits: int | None, dtype: str, label: str) -> None:
    if bits is None:
        return
    kind = np.dtype(dtype) if dtype in ("int8", "uint8", "int16", "uint16") else None
    if kind is None or type(bits) is not int or not 1 <= bits < 8 * kind.itemsize:
        raise ModelFormatError(
            f"{label}: is {dtype} of {bits} bits; expected an 8- or 16-bit integer, and fewer bits than it has"
        )


def _packed_bits(form: Format | None) -> int | None:
    """Bits of a packed code, None where codes are stored whole."""
    return None if form is None or (form.bits == 8 and not isinstance(form, Affine)) else form.bits
