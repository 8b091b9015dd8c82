"""Named arrays and parameters that a user hands in, each checked as it is taken."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError, unknown
from hwsim.verify.golden import as_codes

Array = NDArray[Any]

CODES = ("int8", "uint8")


class Keys:
    """Arrays by key, from `label`, for messages. Whatever does not fit is an InputError that names the key."""

    def __init__(self, arrays: Mapping[str, Any], label: str) -> None:
        self.arrays, self.label = arrays, label

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    def only(self, known: Collection[str], what: str) -> None:
        """Refuse any other key: a parameter with a wrong name would otherwise pass for absent."""
        for key in self.arrays:
            if key not in known:
                raise InputError(f"{self.label}: {unknown(f'key of {what}', key, known)}")

    def array(self, key: str) -> Array:
        """The value of a key that must be there, of at least one element."""
        if key not in self.arrays:
            raise InputError(f"{self.label}: key {key!r} is missing; it has {', '.join(self.arrays)}")
        value = np.asarray(self.arrays[key])
        if not value.size:
            raise self.wrong(key, f"has shape {list(value.shape)}", "at least one element")
        return value

    def codes(self, key: str) -> Array:
        """An array of int8 or uint8."""
        value = self.array(key)
        if value.dtype.name not in CODES:
            raise self.wrong(key, f"is {value.dtype}", " or ".join(CODES))
        return value

    def fitting(self, key: str, dtype: str) -> Array:
        """An array in `dtype`; what reads text or C output may have made it wider."""
        return as_codes(f"{self.label}: {key!r}", dtype, self.array(key))

    def text(self, key: str, known: Iterable[str], default: str | None = None) -> str:
        """One of the `known` words."""
        if default is not None and key not in self:
            return default
        value = self.array(key)
        if value.size != 1 or value.dtype.kind not in "US":
            raise self.wrong(key, _seen(value), f"one of {', '.join(known)}")
        item = value.reshape(-1)[0]
        word = item.decode(errors="replace") if isinstance(item, bytes) else str(item)
        if word not in known:
            raise InputError(f"{self.label}: {unknown(key, word, known)}")
        return word

    def integers(self, key: str, counts: Collection[int], low: int, high: int, default: int | None = None) -> list[int]:
        """One or more integers in [low, high]; `counts` says how many there may be."""
        if default is not None and key not in self:
            return [default]
        value = self.array(key)
        many = " or ".join({1: "one integer", 2: "two"}[count] for count in counts)
        if value.size not in counts or not _is_integral(value):
            raise self.wrong(key, _seen(value), f"{many} in [{low}, {high}]")
        found = [int(entry) for entry in value.reshape(-1)]
        if not low <= min(found) <= max(found) <= high:
            raise self.wrong(key, _seen(value), f"{many} in [{low}, {high}]")
        return found

    def integer(self, key: str, low: int, high: int, default: int | None = None) -> int:
        """One integer in [low, high]."""
        return self.integers(key, (1,), low, high, default)[0]

    def scales(self, key: str, channels: int = 1, dtype: str = "float32") -> Array:
        """One scale or one per channel, each above 0 in `dtype`; shape (1,) or (channels,)."""
        value = self.array(key)
        if value.dtype.kind not in "iuf":
            raise self.wrong(key, f"is {value.dtype}", "numbers above 0")
        if value.size not in (1, channels):
            per_channel = f" or {channels}, one per output channel" if channels > 1 else ""
            raise self.wrong(key, f"has {value.size} values", f"1{per_channel}")
        with np.errstate(over="ignore", under="ignore"):
            scales = value.reshape(-1).astype(dtype)
        for position, scale in enumerate(scales):
            if not (0 < scale < np.inf):
                at = f"[{position}]" if scales.size > 1 else ""
                raise InputError(
                    f"{self.label}: {key!r}{at} is {value.reshape(-1)[position]:g}; "
                    f"expected a number above 0 that {dtype} can hold"
                )
        return scales

    def wrong(self, key: str, found: str, expected: str) -> InputError:
        """The error for a value that does not fit."""
        return InputError(f"{self.label}: {key!r} {found}; expected {expected}")


def _seen(value: Array) -> str:
    """What a short value is, or its dtype and shape."""
    return f"is {value.tolist()!r}" if value.size <= 4 else f"is {value.dtype} of shape {list(value.shape)}"


def _is_integral(value: Array) -> bool:
    if value.dtype.kind == "f":
        return bool(np.all(np.isfinite(value) & (np.trunc(value) == value)))
    return value.dtype.kind in "iu"
