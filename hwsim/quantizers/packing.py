"""Codes of few bits, packed: code i takes bits i * bits to (i + 1) * bits of a stream,
which fills each byte from its low bit.

Two 4-bit codes are a byte with the first in the low half, as in TFLite's int4 and ONNX's; a 3-bit code may straddle two
bytes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError

MOST_BITS = 16
BLOCK = 1 << 16
"""Codes unpacked at a time, so that memory grows with the codes and not with their bits."""


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take."""
    return -(-count * bits // 8)


def pack(codes: NDArray[Any], bits: int, *, signed: bool) -> NDArray[np.uint8]:
    """Codes as a stream of bytes, in C order.

    codes : integer array, each in [0, 2^bits), or where `signed` in [-2^(bits-1), 2^(bits-1))
    bits : 1 to 16

    InputError where a code needs more bits.
    """
    _check(bits)
    flat = np.ascontiguousarray(codes).reshape(-1).astype(np.int64)
    low = -(1 << (bits - 1)) if signed else 0
    wrong = np.flatnonzero((flat < low) | (flat >= low + (1 << bits)))
    if wrong.size:
        at, most = int(wrong[0]), low + (1 << bits) - 1
        raise InputError(f"code {int(flat[at])} at {at}; must be in [{low}, {most}] for {bits} bits")
    planes = (flat[:, None] >> np.arange(bits)) & 1
    return np.packbits(planes.astype(np.uint8).reshape(-1), bitorder="little")


def unpack(
    stream: NDArray[np.uint8], count: int, bits: int, *, signed: bool, dtype: type | np.dtype[Any] = np.int64
) -> NDArray[Any]:
    """The `count` codes of a stream that `pack` made, in `dtype`; InputError where it is not of that length."""
    _check(bits)
    if stream.size != packed_bytes(count, bits):
        raise InputError(f"{count} codes of {bits} bits take {packed_bytes(count, bits)} bytes; got {stream.size}")
    codes = np.empty(count, dtype)
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        part = stream[start * bits // 8 : packed_bytes(start + size, bits)]
        codes[start : start + size] = _unpack_block(part, size, bits, signed)
    return codes


def _unpack_block(stream: NDArray[np.uint8], count: int, bits: int, signed: bool) -> NDArray[np.int64]:
    planes = np.unpackbits(stream, count=count * bits, bitorder="little").reshape(count, bits)
    weights = 1 << np.arange(bits)
    if signed:
        weights[-1] = -weights[-1]
    return planes @ weights


def _check(bits: int) -> None:
    if not 1 <= bits <= MOST_BITS:
        raise InputError(f"bits is {bits}; expected 1 to {MOST_BITS}")
