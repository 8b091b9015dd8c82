"""Oracles of the operators that move, compare, multiply or subtract codes: index loops over plain Python integers.

Each gives the node's first output and shares no code with the package.
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from hwsim.graph import Tensor
from tests import naive
from tests.naive.rounding import clamp, float32, half_away, half_even, half_up, wrap

Array = np.ndarray[Any, Any]
Index = tuple[int, ...]


def _fill(output: Tensor, source: Callable[[Index], Any]) -> Array:
    """The output, element by element."""
    out = np.zeros(output.shape, output.dtype)
    for index in np.ndindex(*output.shape):
        out[index] = source(index)
    return out


def _list(values: Any) -> list[int]:
    return [int(v) for v in np.asarray(values).reshape(-1)]


def transpose(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x, axes = values[0], _list(values[1])

    def source(index: Index) -> Any:
        place = [0] * len(axes)
        for k, axis in enumerate(axes):
            place[axis] = index[k]
        return x[tuple(place)]

    return _fill(output, source)


def slice_(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x, begin = values[0], _list(values[1])
    return _fill(output, lambda index: x[tuple(i + b for i, b in zip(index, begin, strict=True))])


def strided_slice(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """Source: TFLite kernels/internal/strided_slice_logic.h, StridedSliceStartForAxis."""
    x, begin, stride = values[0], _list(values[1]), _list(values[3])

    def source(index: Index) -> Any:
        place, rest = [], list(index)
        for axis, n in enumerate(x.shape):
            step = stride[axis]
            if options["begin_mask"] >> axis & 1:
                start = 0 if step > 0 else n - 1
            else:
                start = begin[axis] + n if begin[axis] < 0 else begin[axis]
                start = clamp(start, 0, n) if step > 0 else clamp(start, -1, n - 1)
            dropped = options["shrink_axis_mask"] >> axis & 1
            place.append(start if dropped else start + step * rest.pop(0))
        return x[tuple(place)]

    return _fill(output, source)


def _first_part(x: Array, output: Tensor) -> Array:
    return _fill(output, lambda index: x[index])


def split(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _first_part(values[1], output)


def split_v(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _first_part(values[0], output)


def pack(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    axis = options["axis"] % len(output.shape)
    return _fill(output, lambda index: values[index[axis]][(*index[:axis], *index[axis + 1 :])])


def unpack(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x = values[0]
    axis = options["axis"] % x.ndim
    return _fill(output, lambda index: x[(*index[:axis], 0, *index[axis:])])


def expand_dims(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x, axis = values[0], int(values[1]) % len(output.shape)
    return _fill(output, lambda index: x[(*index[:axis], *index[axis + 1 :])])


def gather(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x, indices = values
    axis = options["axis"] % x.ndim
    end = axis + indices.ndim
    return _fill(output, lambda index: x[(*index[:axis], int(indices[index[axis:end]]), *index[end:])])


def space_to_depth(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x, block = values[0], options["block_size"]

    def source(index: Index) -> Any:
        b, i, j, c = index
        offset, channel = divmod(c, x.shape[3])
        return x[b, i * block + offset // block, j * block + offset % block, channel]

    return _fill(output, source)


def depth_to_space(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x, block = values[0], options["block_size"]

    def source(index: Index) -> Any:
        b, i, j, c = index
        offset = (i % block) * block + j % block
        return x[b, i // block, j // block, offset * output.shape[3] + c]

    return _fill(output, source)


def mirror_pad(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x, widths = values

    def inside(i: int, n: int) -> int:
        repeated = 1 if options["mode"] == "symmetric" else 0
        if i < 0:
            return -i - repeated
        return i if i < n else 2 * (n - 1) - i + repeated

    def source(index: Index) -> Any:
        moved = [i - int(w[0]) for i, w in zip(index, widths, strict=True)]
        return x[tuple(inside(i, n) for i, n in zip(moved, x.shape, strict=True))]

    return _fill(output, source)


def pad_v2(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return naive.pad(values[0], [(int(a), int(b)) for a, b in values[1]], values[2].item())


def resize_nearest_neighbor(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """Source: TFLite reference/resize_nearest_neighbor.h (float32 positions)."""
    x = values[0]

    def nearest(i: int, n: int, out: int) -> int:
        scale = np.float32(n) / np.float32(out)
        if options["align_corners"] and out > 1:
            scale = np.float32(n - 1) / np.float32(out - 1)
        at = (np.float32(i) + np.float32(0.5 if options["half_pixel_centers"] else 0)) * scale
        chosen = half_away(Fraction(float(at))) if options["align_corners"] else math.floor(at)
        return clamp(chosen, 0, n - 1)

    def source(index: Index) -> Any:
        b, i, j, c = index
        return x[b, nearest(i, x.shape[1], output.shape[1]), nearest(j, x.shape[2], output.shape[2]), c]

    return _fill(output, source)


def _pairwise(values: Any, output: Tensor, function: Callable[[int, int], int]) -> Array:
    """A function of two broadcast operands of one rank."""

    def source(index: Index) -> int:
        first, second = (int(x[tuple(0 if n == 1 else i for i, n in zip(index, x.shape, strict=True))]) for x in values)
        return function(first, second)

    return _fill(output, source)


def maximum(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _pairwise(values, output, max)


def minimum(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _pairwise(values, output, min)


def _pairs(tensors: Any, output: Tensor) -> tuple[list[float], list[int]]:
    formats = [t.format for t in (*tensors, output)]
    return [float(f.scale[0]) for f in formats], [int(f.zero_point[0]) for f in formats]


def _bounds(options: Any, output: Tensor, scale: float, zero_point: int) -> tuple[int, int]:
    return naive.activation_range(options.get("activation", "none"), scale, zero_point, output.dtype)


def broadcast_run(tensors: Any) -> tuple[int, bool]:
    """How many elements LiteRT's vector loops take at a time, 1 in scalar code, and whether both inputs move in them.

    Source: TFLite reference/process_broadcast_shapes.h and optimized/optimized_ops.h, BinaryBroadcastFiveFold: from
    the innermost axis on equal axes, axes of one input, equal axes, axes of the other, equal axes.
    """
    axes = [(a, b) for a, b in zip(tensors[0].shape, tensors[1].shape, strict=True) if max(a, b) > 1][::-1]
    letters = "".join("e" if a == b else "a" if a == 1 else "b" for a, b in axes)
    found = re.fullmatch("(e*)(a*)e*b*e*", letters) or re.fullmatch("(e*)(b*)e*a*e*", letters)
    if not letters or not found:
        return 1, True
    part = slice(*found.span(1)) if found[1] else slice(*found.span(2))
    return math.prod(max(axis) for axis in axes[part]), bool(found[1])


def _vectorized(tensors: Any, output: Tensor) -> Callable[[int], str]:
    """How LiteRT's optimized MUL narrows the flat output element n: 'saturate', 'wrap', or '' in scalar code."""
    (run, both), width = broadcast_run(tensors), 16 if output.dtype == "int8" else 8
    narrowing = "saturate" if both or output.dtype == "int8" else "wrap"
    return lambda n: narrowing if n % run < run // width * width else ""


def mul(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """Source: TFLite kernels/mul.cc (float32 scale), TFLM mul_common.cc (float64), XNNPACK qs8-vmul."""
    (sa, sb, so), (za, zb, zo) = _pairs(tensors, output)
    single = float(np.float32(sa) * np.float32(sb) / np.float32(so))
    multiplier, shift = naive.quantize_multiplier(sa * sb / so if engine == "tflite-micro" else single)
    delegated = engine == "xnnpack" and output.dtype != "int16" and 2**-16 <= single < 2**8
    simd = engine in ("litert-optimized", "xnnpack") and output.dtype != "int16"
    vectorized = _vectorized(tensors, output) if simd else lambda n: ""
    low, high = _bounds(options, output, so, zo)
    count = iter(range(math.prod(output.shape)))

    def product(a: int, b: int) -> int:
        exact, narrowing = (a - za) * (b - zb), vectorized(next(count))
        if delegated:
            return clamp(float32(exact, single) + zo, low, high)
        code = naive.double_rounding(exact, multiplier, shift)
        if narrowing:
            code = wrap((clamp(code, -32768, 32767) if narrowing == "saturate" else wrap(code, 16)) + zo, 16) - zo
        return clamp(code + zo, low, high)

    return _pairwise(values, output, product)


def sub(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """Source: TFLite kernels/sub.cc (float64 ratios), TFLM sub_common.cc (of bytes float32), XNNPACK qs8-vadd."""
    (sa, sb, so), (za, zb, zo) = _pairs(tensors, output)
    low, high = _bounds(options, output, so, zo)
    kind, raised = np.float32 if engine == "tflite-micro" else np.float64, 20
    if output.dtype == "int16":
        kind, raised = np.float64, 15
    twice = kind(2) * kind(max(sa, sb))
    reals = [float(kind(sa) / twice), float(kind(sb) / twice), float(twice / (kind(1 << raised) * kind(so)))]
    first, second, last = (naive.quantize_multiplier(real) for real in reals)

    def tflite(a: int, b: int) -> int:
        left = naive.double_rounding((a - za) << raised, *first)
        right = naive.double_rounding((b - zb) << raised, *second)
        return clamp(naive.double_rounding(wrap(left - right), *last) + zo, low, high)

    ratios = [float(np.float32(s) / np.float32(so)) for s in (sa, sb)]
    bits = 20 - (math.frexp(max(ratios))[1] - 1)

    def xnnpack(a: int, b: int) -> int:
        m = [half_even(Fraction(ratio) * Fraction(2) ** bits) for ratio in ratios]
        return clamp(half_up(Fraction((a - za) * m[0] - (b - zb) * m[1], 1 << bits)) + zo, low, high)

    delegated = engine == "xnnpack" and output.dtype != "int16" and min(ratios) >= 2**-10 and max(ratios) < 2**8
    return _pairwise(values, output, xnnpack if delegated else tflite)


HANDLERS_MOVES = {
    handler.__name__.rstrip("_"): handler
    for handler in (
        transpose, slice_, strided_slice, split, split_v, pack, unpack, expand_dims, gather, space_to_depth,
        depth_to_space, mirror_pad, pad_v2, resize_nearest_neighbor, mul, sub, maximum, minimum,
    )
}  # fmt: skip
