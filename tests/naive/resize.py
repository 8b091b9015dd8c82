"""RESIZE_BILINEAR."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from .linear import Array
from .rounding import half_away, half_even, half_up, truncate


def resize_bilinear(
    x: Array,
    size: tuple[int, int],
    rule: str,
    align_corners: bool = False,
    half_pixel_centers: bool = False,
) -> Array:
    """RESIZE_BILINEAR of codes to `size` (height, width); no requantization.

    rule : 'reference' (TFLite reference/resize_bilinear.h, ResizeBilinearInteger: int8 and int16),
    'float' (the same file's ResizeBilinear<uint8_t>), 'float_optimized' (TFLite
    optimized/resize_bilinear.h, ResizeBilinearGenericSmallChannel<uint8>) or 'xnnpack'
    (indirection.c and s8/u8-ibilinear).
    """
    rules: dict[str, tuple[Callable[..., Any], Callable[..., int]]] = {
        "reference": (_position_integer, _blend_integer),
        "float": (_position_float, _blend_float),
        "float_optimized": (_position_float, _blend_float_optimized),
        "xnnpack": (_position_xnnpack, _blend_xnnpack),
    }
    position, blend = rules[rule]
    out = np.zeros((x.shape[0], *size, x.shape[3]), x.dtype)
    rows = [position(i, x.shape[1], size[0], align_corners, half_pixel_centers) for i in range(size[0])]
    columns = [position(i, x.shape[2], size[1], align_corners, half_pixel_centers) for i in range(size[1])]
    for b, i, j, c in np.ndindex(*out.shape):
        top, bottom, down = rows[i]
        left, right, across = columns[j]
        corners = [int(x[b, y, z, c]) for y in (top, bottom) for z in (left, right)]
        out[b, i, j, c] = blend(*corners, down, across)
    return out


def _position_integer(i: int, size_in: int, size_out: int, align: bool, half_pixel: bool) -> tuple[int, int, int]:
    scale = ((size_in << 10) + size_out // 2) // size_out
    if align and size_out > 1:
        scale = (((size_in - 1) << 10) + (size_out - 1) // 2) // (size_out - 1)
    position = i * scale + (scale // 2 - 512 if half_pixel else 0)
    low = max(truncate(Fraction(position, 1024)), 0)
    high = min(truncate(Fraction(position + 1023, 1024)), size_in - 1)
    return low, high, position - 1024 * low


def _blend_integer(tl: int, tr: int, bl: int, br: int, down: int, across: int) -> int:
    top = tl * (1024 - across) + tr * across
    bottom = bl * (1024 - across) + br * across
    return half_away(Fraction(top * (1024 - down) + bottom * down, 1 << 20))


def _position_float(i: int, size_in: int, size_out: int, align: bool, half_pixel: bool) -> tuple[int, int, np.float32]:
    scale = np.float32(size_in) / np.float32(size_out)
    if align and size_out > 1:
        scale = np.float32(size_in - 1) / np.float32(size_out - 1)
    position = np.float32(i) * scale
    if half_pixel:
        position = (np.float32(i) + np.float32(0.5)) * scale - np.float32(0.5)
    low = max(math.floor(position), 0)
    high = min(math.ceil(position), size_in - 1)
    return low, high, position - np.float32(low)


def _blend_float(tl: int, tr: int, bl: int, br: int, down: np.float32, across: np.float32) -> int:
    up, back = np.float32(1) - down, np.float32(1) - across
    total = np.float32(tl) * up * back
    total = total + np.float32(bl) * down * back
    total = total + np.float32(tr) * up * across
    total = total + np.float32(br) * down * across
    return int(total + np.float32(0.5))


def _blend_float_optimized(tl: int, tr: int, bl: int, br: int, down: np.float32, across: np.float32) -> int:
    up, back = np.float32(1) - down, np.float32(1) - across
    total = np.float32(tl) * (up * back)
    total = total + np.float32(tr) * (up * across)
    total = total + np.float32(bl) * (down * back)
    total = total + np.float32(br) * (down * across)
    return int(total + np.float32(0.5))


def _position_xnnpack(i: int, size_in: int, size_out: int, align: bool, half_pixel: bool) -> tuple[int, int, int]:
    adjust = 1 if align and size_out != 1 else 0
    scale = np.float32(size_in - adjust) / np.float32(size_out - adjust)
    position = np.float32(i) * scale
    if half_pixel:
        position = position + (np.float32(0.5) * scale - np.float32(0.5))
    position = min(max(position, np.float32(0)), np.float32(size_in - 1))
    low = int(position)
    weight = half_even(Fraction(float((position - np.float32(low)) * np.float32(2048))))
    return low, min(low + 1, size_in - 1), weight


def _blend_xnnpack(tl: int, tr: int, bl: int, br: int, down: int, across: int) -> int:
    top = (tl << 11) + (tr - tl) * across
    bottom = (bl << 11) + (br - bl) * across
    return half_up(Fraction((top << 11) + (bottom - top) * down, 1 << 22))
