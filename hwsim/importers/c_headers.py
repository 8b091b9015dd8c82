"""Test vectors in C headers: `#define NAME 3` and `const int8_t name[2] = {1, -2};`, read as data, never compiled."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError, ModelFormatError

MOST_FILES = 64
LARGEST_FILE = 8 << 20
LONGEST_NAME = 500

_TYPES = {"int8_t": "int8", "int16_t": "int16", "int32_t": "int32", "int64_t": "int64", "uint8_t": "uint8"}
_TYPES |= {"q7_t": "int8", "q15_t": "int16", "q31_t": "int32"}
_DEFINE = re.compile(r"#[ \t]*define[ \t]+(\w+)[ \t]+(.+)")
_DECLARATION = re.compile(r"(?:static\s+)?(?:const\s+)?(\w+)\s*(?:\*\s*(?:const\s+)?)?(\w+)\s*(?:\[[^]]*\])?\s*=")


@dataclass(frozen=True, slots=True)
class Headers:
    """What a folder of headers defines, by lower-case names without the prefix that they share.

    label : the folder, for messages
    name : the prefix, without its last underscore
    numbers : of `#define`; a list in braces as a tuple
    arrays : of one axis
    absent : dtypes of arrays that are NULL
    """

    label: str
    name: str
    numbers: dict[str, int | tuple[int, ...]] = field(default_factory=dict)
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


def read_headers(folder: Path) -> Headers:
    """Every `.h` file in `folder`.

    Raises
    ------
    InputError : there is no such folder, it has no or too many headers, or one is too large
    ModelFormatError : a header is not of this form
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with C headers of a data set")
    files = sorted(folder.glob("*.h"))
    if not 1 <= len(files) <= MOST_FILES:
        raise InputError(f"{folder}: has {len(files)} .h files; expected 1 to {MOST_FILES}")
    raw = Headers(str(folder), "")
    for file in files:
        try:
            if file.stat().st_size > LARGEST_FILE:
                raise InputError(f"{file}: has {file.stat().st_size} bytes; the limit is {LARGEST_FILE}")
            text = file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise InputError(f"{file}: cannot read it ({error})") from None
        _read(text, str(file), raw)
    return _without_prefix(raw, folder.name.lower())


def _read(text: str, label: str, into: Headers) -> None:
    code = []
    for line in _without_comments(text).replace("\\\n", " ").split("\n"):
        if not line.lstrip().startswith("#"):
            code.append(line)
        elif found := _DEFINE.match(line.strip()):
            value = _defined(found[2].strip())
            if value is not None:
                into.numbers[found[1].lower()] = value
    for statement in "\n".join(code).split(";"):
        if statement.strip():
            _declare(statement.strip(), label, into)


def _without_comments(text: str) -> str:
    for start, end in (("/*", "*/"), ("//", "\n")):
        kept, at = list[str](), 0
        while (opened := text.find(start, at)) >= 0:
            kept.append(text[at:opened])
            closed = text.find(end, opened + 2)
            at = len(text) if closed < 0 else closed + (2 if end == "*/" else 0)
        text = " ".join([*kept, text[at:]])
    return text


def _defined(text: str) -> int | tuple[int, ...] | None:
    """An integer, or the integers of a list in braces; None for anything else, which no data set needs."""
    try:
        if text.startswith("{") and text.endswith("}"):
            return tuple(_integer(part) for part in text[1:-1].split(",") if part.strip())
        return {"true": 1, "false": 0}.get(text) if text in ("true", "false") else _integer(text.strip("() "))
    except ValueError:
        return None


def _integer(text: str) -> int:
    return int(text.strip().rstrip("uUlL"), 0)


def _declare(statement: str, label: str, into: Headers) -> None:
    """One array, another name of one, or NULL."""
    head, equals, value = statement.partition("=")
    found = _DECLARATION.fullmatch(f"{head.strip()} =") if len(head) <= LONGEST_NAME else None
    if not equals or found is None or found[1] not in _TYPES:
        raise ModelFormatError(f"{label}: has {statement[:60]!r}; expected `const TYPE name[] = {{...}};`")
    dtype, name, value = _TYPES[found[1]], found[2].lower(), value.strip()
    if value == "NULL":
        into.absent[name] = dtype
    elif value.lower() in into.absent:
        into.absent[name] = into.absent[value.lower()]
    elif value.lower() in into.arrays:
        into.arrays[name] = into.arrays[value.lower()]
    else:
        into.arrays[name] = _array(value, dtype, f"{label}: {name!r}")


def _array(value: str, dtype: str, label: str) -> NDArray[Any]:
    if not (value.startswith("{") and value.endswith("}")):
        raise ModelFormatError(f"{label} is {value[:40]!r}; expected numbers in braces")
    try:
        numbers = np.fromiter((_integer(part) for part in value[1:-1].split(",") if part.strip()), np.int64)
    except (ValueError, OverflowError) as error:
        raise ModelFormatError(f"{label}: {error}; expected integers") from None
    info, wide = np.iinfo(dtype), np.iinfo(f"uint{8 * np.dtype(dtype).itemsize}")
    if numbers.size and (numbers.min() < info.min or numbers.max() > min(int(wide.max), 2**63 - 1)):
        raise ModelFormatError(f"{label}: has values from {numbers.min()} to {numbers.max()}; expected {dtype}")
    return numbers.astype(dtype)  # packed codes are written as unsigned bytes


def _without_prefix(raw: Headers, folder: str) -> Headers:
    """Names less what they share: the folder's name, else their longest common beginning up to an underscore."""
    names = [*raw.numbers, *raw.arrays, *raw.absent]
    if not raw.arrays:
        raise ModelFormatError(f"{raw.label}: its headers have no arrays; expected a data set")
    shared = f"{folder}_"
    if not all(name.startswith(shared) for name in names):
        first, last = min(names), max(names)
        same = next(
            (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
        )
        shared = first[: first[:same].rfind("_") + 1]
    size = len(shared)
    numbers, arrays, absent = ({n[size:]: v for n, v in part.items()} for part in (raw.numbers, raw.arrays, raw.absent))
    return Headers(raw.label, shared.rstrip("_"), numbers, arrays, absent)  # type: ignore[arg-type]
