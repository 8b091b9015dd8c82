"""Oracles of reductions, comparisons, functions, blocks and state: loops over plain Python integers.

Each gives a node's first output, and updates the variables among `values` in place; it shares no code with the package.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from hwsim.graph import Graph, Tensor
from tests.naive.rounding import (
    activation_range,
    clamp,
    divide_by_pot,
    double_rounding,
    doubling_high_mul,
    half_away,
    half_even,
    half_up,
    quantize_multiplier,
    reduced_int64,
    single_rounding,
    type_range,
    wrap,
)
from tests.naive.softmax import one_over_one_plus
from tests.oracle_int16 import _interpolated, _logistic_q15, _saturated, _tanh_q15
from tests.oracle_moves import _fill, _list

Array = np.ndarray[Any, Any]
Handler = Callable[..., Array]


def steps(graph: Graph, inputs: list[list[Array]], engine: str) -> list[Array]:
    """The first output of every step, the variables starting from their initial values, or as 0."""
    kept = {i: _reset(t) for i, t in enumerate(graph.tensors) if t.is_variable}
    results = []
    for given in inputs:
        known = {**kept, **dict(zip(graph.inputs, given, strict=True))}
        for node in graph.nodes:
            tensors = [graph.tensors[i] if i >= 0 else None for i in node.inputs]
            values = [None if i < 0 else known[i] if i in known else graph.tensors[i].data for i in node.inputs]
            out = graph.tensors[node.outputs[0]] if node.outputs else None
            result = HANDLERS_MORE[node.op](node.attributes, tensors, values, out, engine)
            if node.outputs:
                known[node.outputs[0]] = result
        results.append(known[graph.outputs[0]].copy())
    return results


def _reset(tensor: Tensor) -> Array:
    if tensor.initial is not None:
        return tensor.initial.copy()
    return np.full(tensor.shape, _pair(tensor)[1] if tensor.dtype == "int8" else 0, tensor.dtype)


def _pair(tensor: Tensor) -> tuple[float, int]:
    return float(tensor.format.scale[0]), int(tensor.format.zero_point[0])  # type: ignore[union-attr]


def _micro(engine: str) -> bool:
    return engine == "tflite-micro"


def _at(x: Array, index: tuple[int, ...]) -> Any:
    """The element that broadcasts to `index`."""
    tail = index[len(index) - x.ndim :]
    return x[tuple(min(i, n - 1) for i, n in zip(tail, x.shape, strict=True))]


def _groups(x: Array, axes: list[int], output: Tensor) -> Callable[[tuple[int, ...]], list[Any]]:
    """The elements that a reduction makes one of, by the output's index."""
    gone = {axis % x.ndim for axis in axes}
    found: dict[int, list[Any]] = {}
    for index in np.ndindex(*x.shape):
        kept = tuple(0 if axis in gone else i for axis, i in enumerate(index))
        flat = int(np.ravel_multi_index(kept, [1 if axis in gone else n for axis, n in enumerate(x.shape)]))
        found.setdefault(flat, []).append(x[index])
    return lambda index: found[int(np.ravel_multi_index(index, output.shape)) if output.shape else 0]


def sum_(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/reduce.h; LiteRT reduce.cc; XNNPACK reduce-nd.c."""
    (scale, zero), (target, out_zero) = _pair(tensors[0]), _pair(output)
    x, lo, hi = values[0], *type_range(output.dtype)
    if engine == "litert-reference":
        x, lo, hi = x.view(np.uint8), 0, 255
    elements = _groups(x, _list(values[1]), output)
    ratio = np.float32(scale) / np.float32(target)

    def source(index: tuple[int, ...]) -> int:
        codes = [int(code) for code in elements(index)]
        total, zeros = sum(codes), zero * len(codes)
        if engine == "xnnpack" and output.dtype != "int16":
            moved = np.float32(out_zero) - np.float32(zeros) * ratio
            return clamp(half_even(Fraction(float(np.float32(total) * ratio + moved))), lo, hi)
        if engine in ("litert-optimized", "xnnpack"):
            bias = np.float32(-zero) * ratio * np.float32(len(codes))
            return clamp(half_away(Fraction(float(np.float32(total) * ratio + bias))) + out_zero, lo, hi)
        value = clamp(double_rounding(total - zeros, *quantize_multiplier(scale / target)) + out_zero, lo, hi)
        return value if lo < 0 or output.dtype != "int8" else wrap(value, 8)

    return _fill(output, source)


def reduce_max(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    elements = _groups(values[0], _list(values[1]), output)
    return _fill(output, lambda index: max(elements(index)))


def reduce_min(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    elements = _groups(values[0], _list(values[1]), output)
    return _fill(output, lambda index: min(elements(index)))


def arg_min(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    elements = _groups(values[0], _list(values[1]), output)
    return _fill(output, lambda index: elements(index).index(min(elements(index))))


def div(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/div.h; common.h, GetReciprocal; a shift beyond 31 as x86 and gemmlowp make of it."""
    pairs = [_pair(tensors[0]), _pair(tensors[1]), _pair(output)]
    real = np.float32(pairs[0][0]) / (np.float32(pairs[1][0]) * np.float32(pairs[2][0]))
    multiplier, shift = quantize_multiplier(float(real))
    lo, hi = activation_range(options["activation"], *pairs[2], output.dtype)

    def source(index: tuple[int, ...]) -> int:
        a, b = int(_at(values[0], index)) - pairs[0][1], int(_at(values[1], index)) - pairs[1][1]
        a, b = (-a, -b) if b < 0 else (a, b)
        zeros = 32 - b.bit_length()
        inverse = one_over_one_plus((b << zeros) - (1 << 31))
        room = 31 - (a if a >= 0 else ~a).bit_length()
        high = doubling_high_mul(doubling_high_mul(a << room, inverse), multiplier)
        right = room + 31 - zeros - shift
        y = divide_by_pot(high, right) if right < 32 else (high >> right % 32) + (high >= 0)
        return clamp(y + pairs[2][1], lo, hi)

    return _fill(output, source)


def squared_difference(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """LiteRT squared_difference.cc."""
    pairs, bits = [_pair(tensors[0]), _pair(tensors[1]), _pair(output)], 7 if output.dtype == "int8" else 0
    most = 2 * max(pairs[0][0], pairs[1][0])
    into = [quantize_multiplier(scale / most) for scale, _ in pairs[:2]]
    onward = quantize_multiplier(most * most / (2.0 ** (2 * bits) * pairs[2][0]))

    def source(index: tuple[int, ...]) -> int:
        a, b = (double_rounding((int(_at(values[k], index)) - pairs[k][1]) << bits, *into[k]) for k in (0, 1))
        return clamp(double_rounding(wrap((a - b) ** 2), *onward) + pairs[2][1], *type_range(output.dtype))

    return _fill(output, source)


def _compared(function: Callable[[Any, Any], bool], sorts: bool) -> Handler:
    """LiteRT comparisons.cc: ordering looks at 16-bit codes as they are."""

    def handler(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
        dtype = tensors[0].dtype
        scaled = dtype in ("int8", "uint8") or (dtype == "int16" and not sorts)

        def code(k: int, index: tuple[int, ...]) -> Any:
            x = _at(values[k], index)
            if not scaled:
                return x
            scale, zero = _pair(tensors[k])
            return double_rounding((int(x) - zero) << 8, *quantize_multiplier(scale))

        return _fill(output, lambda index: function(code(0, index), code(1, index)))

    return handler


def logical_and(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _fill(output, lambda index: bool(_at(values[0], index)) and bool(_at(values[1], index)))


def logical_or(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _fill(output, lambda index: bool(_at(values[0], index)) or bool(_at(values[1], index)))


def logical_not(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _fill(output, lambda index: not values[0][index])


def _inverse_root(value: int) -> tuple[int, int]:
    """Multiplier and shift of 1 / sqrt(value). TFLite common.h, GetInvSqrtQuantizedMultiplierExp."""
    if value <= 1:
        return (1 << 31) - 1, 0
    shift = 11
    while value >= 1 << 29:
        value, shift = value // 4, shift + 1
    pairs = (32 - value.bit_length() - 1) // 2 - 1
    value, shift = value << 2 * pairs, shift - pairs
    half, x = divide_by_pot(value >> 1, 1), 1 << 28

    def grown(y: int, bits: int) -> int:
        return clamp(y << bits, -(1 << 31), (1 << 31) - 1)

    for _ in range(5):
        cube = grown(doubling_high_mul(doubling_high_mul(x, x), x), 6)
        x = grown(wrap(doubling_high_mul(3 << 27, x) - doubling_high_mul(half, cube)), 3)
    x = doubling_high_mul(x, 1518500250)
    return (x << -shift, 0) if shift < 0 else (x, -shift)


def l2_normalization(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/l2normalization.h (uint8), reference/integer_ops/l2normalization.h (int8)."""
    zero, (lo, hi) = _pair(tensors[0])[1], type_range(output.dtype)

    def source(index: tuple[int, ...]) -> int:
        row = [int(code) - zero for code in values[0][index[:-1]]]
        multiplier, shift = _inverse_root(sum(x * x for x in row))
        x, early = row[index[-1]], 7 if output.dtype == "uint8" else 0
        return clamp(double_rounding(x << early, multiplier, shift + 7 - early) + (lo + hi + 1) // 2, lo, hi)

    return _fill(output, source)


def rsqrt(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """LiteRT elementwise.cc; LiteRT interpolates 16 bits."""
    (scale, zero), (target, out_zero), (lo, hi) = _pair(tensors[0]), _pair(output), type_range(output.dtype)
    if output.dtype == "int16" and not _micro(engine):
        largest = np.float32(32767) * np.float32(target)
        return _interpolate(lambda x: np.float32(1) / np.sqrt(x) if x > 0 else largest, tensors, values, output)
    onward = quantize_multiplier(1 / float(np.sqrt(np.float32(scale)) * np.float32(target)))

    def source(index: tuple[int, ...]) -> int:
        x = int(values[0][index]) - zero
        if x == 0:
            return hi
        multiplier, shift = _inverse_root(x)
        fine = double_rounding(1, multiplier, shift + 20)
        return clamp(double_rounding(fine, onward[0], onward[1] - 20) + out_zero, lo, hi)

    return _fill(output, source)


def abs_(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    (scale, zero), (target, out_zero) = _pair(tensors[0]), _pair(output)
    kind: Any = np.float64 if _micro(engine) else np.float32
    onward = quantize_multiplier(float(kind(scale) / kind(target)))
    return _fill(output, lambda index: clamp(double_rounding(abs(int(values[0][index]) - zero), *onward) + out_zero,
                                             *type_range(output.dtype)))  # fmt: skip


def _tabled(function: Callable[[Any], Any], half_even_engine: str = "") -> Handler:
    """LiteRT: a float32 table of bytes, of 16 bits one of 513 samples; XNNPACK rounds ties to even."""

    def handler(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
        compute = function if options.get("approximate") is None else _gelu(options["approximate"])
        if output.dtype == "int16":
            return _interpolate(compute, tensors, values, output)
        (scale, zero), (target, out_zero) = _pair(tensors[0]), _pair(output)

        def source(index: tuple[int, ...]) -> int:
            real = compute(np.float32(scale) * np.float32(int(values[0][index]) - zero))
            code = real * (np.float32(1) / np.float32(target))
            if engine == half_even_engine:
                moved = Fraction(float(code + np.float32(out_zero)))
                return clamp(half_even(moved), *type_range(output.dtype))
            return clamp(half_away(Fraction(float(code))) + out_zero, *type_range(output.dtype))

        return _fill(output, source)

    return handler


def _interpolate(function: Callable[[Any], Any], tensors: Any, values: Any, output: Tensor) -> Array:
    """TFLite common.h, LUTPopulateInt16 and LUTLookup, in float32."""
    f32 = np.float32
    scale, target = f32(_pair(tensors[0])[0]), f32(_pair(output)[0])
    step = (scale * f32(32767) - scale * f32(-32768)) / f32(512)
    inverse = f32(65536) / (target * f32(32767) - target * f32(-32768))

    def rounded(x: Any) -> Any:
        return f32(half_away(Fraction(float(x))))

    table = []
    for i in range(512):
        at = scale * f32(-32768) + f32(i) * step
        here, there = function(at) * inverse, function(scale * f32(-32768) + f32(i + 1) * step) * inverse
        middle = rounded((there + rounded(here)) / f32(2))
        bias = rounded((middle - rounded(function(at + step / f32(2)) * inverse)) / f32(2))
        table.append(_saturated(int(rounded(here) - bias)))
    table.append(_saturated(int(rounded(function(scale * f32(32767)) * inverse))))

    def source(index: tuple[int, ...]) -> int:
        place, rest = divmod(int(values[0][index]) + 32768, 128)
        slope = wrap(table[place + 1] - table[place], 16)
        return wrap(table[place] + half_up(Fraction(slope * rest, 128)), 16)

    return _fill(output, source)


def _exp(x: Any) -> Any:
    return np.float32(math.exp(min(float(x), 88.0)))


def _elu(x: Any) -> Any:
    return np.float32(math.exp(float(x))) - np.float32(1) if x < 0 else x


def _gelu(approximate: bool) -> Callable[[Any], Any]:
    f32 = np.float32

    def exact(x: Any) -> Any:
        return f32(0.5) * x * f32(math.erfc(float(x * f32(-math.sqrt(0.5)))))

    def close(x: Any) -> Any:
        inner = f32(math.sqrt(2 / math.pi)) * (x + f32(0.044715) * x * x * x)
        return f32(0.5) * x * (f32(1) + f32(math.tanh(float(inner))))

    return close if approximate else exact


def tile(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x = values[0]
    return _fill(output, lambda index: x[tuple(i % n for i, n in zip(index, x.shape, strict=True))])


def broadcast_to(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _fill(output, lambda index: _at(values[0], index))


def fill(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _fill(output, lambda index: values[1].reshape(-1)[0])


def shape(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _fill(output, lambda index: tensors[0].shape[index[0]])


def reverse_v2(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    x, axes = values[0], {axis % values[0].ndim for axis in _list(values[1])}
    return _fill(output, lambda index: x[tuple(x.shape[a] - 1 - i if a in axes else i for a, i in enumerate(index))])


def space_to_batch_nd(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/space_to_batch_nd.h; TFLM pads with the code 0."""
    x, block, pads = values[0], _list(values[1]), values[2]
    zero = 0 if _micro(engine) or output.format is None else _pair(output)[1]

    def source(index: tuple[int, ...]) -> Any:
        (inner, batch), place = divmod(index[0], x.shape[0]), []
        for k, offset in enumerate((inner // block[1], inner % block[1])):
            place.append(index[1 + k] * block[k] + offset - int(pads[k][0]))
        inside = all(0 <= i < n for i, n in zip(place, x.shape[1:3], strict=True))
        return x[(batch, *place, index[3])] if inside else zero

    return _fill(output, source)


def batch_to_space_nd(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/batch_to_space_nd.h."""
    x, block, crops = values[0], _list(values[1]), values[2]

    def source(index: tuple[int, ...]) -> Any:
        row, column = (index[1 + k] + int(crops[k][0]) for k in (0, 1))
        inner = row % block[0] * block[1] + column % block[1]
        return x[inner * output.shape[0] + index[0], row // block[0], column // block[1], index[3]]

    return _fill(output, source)


def cast(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """C's conversions."""

    def source(index: tuple[int, ...]) -> Any:
        x = values[0][index]
        if output.dtype == "bool":
            return bool(x != 0)
        if output.dtype == "float32":
            return np.float32(x)
        return wrap(
            math.trunc(float(x)) if tensors[0].dtype == "float32" else int(x), 8 * np.dtype(output.dtype).itemsize
        )

    return _fill(output, source)


def neg(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    if output.dtype == "float32":
        return _fill(output, lambda index: -values[0][index])
    return _fill(output, lambda index: wrap(-int(values[0][index]), 8 * np.dtype(output.dtype).itemsize))


def select_v2(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _fill(output, lambda index: _at(values[1] if _at(values[0], index) else values[2], index))


def read_variable(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return _fill(output, lambda index: values[0][index])


def assign_variable(options: Any, tensors: Any, values: Any, output: Any, engine: str) -> Array:
    for index in np.ndindex(*values[0].shape):
        values[0][index] = values[1][index]
    return values[0]


def svdf(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLite reference/svdf.h; TFLM svdf_common.cc, scales in float64; CMSIS-NN arm_svdf_s8.c, without a zero point of
    the state, and with limits of 16 bits.
    """
    x, features, times, bias, state = values
    kind: Any = np.float32 if engine.startswith("l") or engine == "xnnpack" else np.float64
    rounded = single_rounding if engine == "cmsis-nn-single-rounding" else double_rounding
    scales = [kind(_pair(t)[0]) for t in (*tensors[:3], tensors[4], output)]
    into = quantize_multiplier(float(scales[0] * scales[1] / scales[3]))
    onward = quantize_multiplier(float(scales[3] * scales[2] / scales[4]))
    zero, state_zero, out_zero = _pair(tensors[0])[1], _pair(tensors[4])[1], _pair(output)[1]
    (filters, memory), bits, limits = times.shape, 8 * state.dtype.itemsize, type_range(state.dtype)
    if engine == "cmsis-nn":
        state_zero, limits = 0, type_range("int16")
    for n in range(x.shape[0]):
        for f in range(filters):
            past = [int(v) for v in state[n, f * memory + 1 : (f + 1) * memory]]
            total = sum(int(w) * (int(v) - zero) for w, v in zip(features[f], x[n], strict=True))
            latest = clamp(rounded(wrap(total), *into), *limits) + state_zero
            state[n, f * memory : (f + 1) * memory] = [*past, wrap(latest, bits)]

    def source(index: tuple[int, ...]) -> int:
        n, unit = index
        total = int(bias[unit])
        for f in range(unit * options["rank"], (unit + 1) * options["rank"]):
            total += sum(int(times[f, m]) * (int(state[n, f * memory + m]) - state_zero) for m in range(memory))
        return clamp(rounded(wrap(total), *onward) + out_zero, -128, 127)

    return _fill(output, source)


def unidirectional_sequence_lstm(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    """TFLM lstm_eval.h; CMSIS-NN arm_nn_lstm_step_s8.c; LiteRT lstm_eval.cc, EvalInteger8x8_16Lstm."""
    x, hidden, cell = values[0], values[18], values[19]
    micro, wide = engine in ("tflite-micro", "cmsis-nn"), output.dtype == "int16"
    (sx, zx), (sh, zh), power = _pair(tensors[0]), _pair(tensors[18]), round(math.log2(_pair(tensors[19])[0]))
    f32, step = np.float32, 2.0**-12
    clip = math.trunc(options["cell_clip"] / 2.0**power)

    def gate(number: int, codes: list[int], state: list[int], c: int) -> int:
        parts = []
        for first, source, zero, scale in ((1, codes, zx, sx), (5, state, zh, sh)):
            weights = [int(w) for w in values[first + number][c]]
            total = sum(w * (v - zero) for w, v in zip(weights, source, strict=True))
            total += int(values[12 + number][c]) if first == 1 else 0
            real = float(f32(scale) * f32(_pair(tensors[first + number])[0])) / step
            rule = reduced_int64 if wide else double_rounding
            parts.append(rule(total if wide else wrap(total), *quantize_multiplier(real)))
        second = _saturated(parts[1]) if _micro(engine) else parts[1]
        return _saturated(_saturated(parts[0]) + second)

    def logistic(v: int) -> int:
        if not micro:
            return _logistic_q15(v)
        r = _interpolated(abs(3 * v), 9)
        return (r + 512) // 1024 if v >= 0 else ((1 << 25) - r + 511) // 1024

    def tanh(v: int, at: int) -> int:
        """Of v * 2^at."""
        if not micro:
            return _tanh_q15(v, 15 + at)
        left = 12 + at
        v = 3 * v << left if left >= 0 else half_up(Fraction(3 * v, 1 << -left))
        r = _interpolated(abs(v), 8)
        return (r - (1 << 23) + 128) // 256 if v >= 0 else ((1 << 23) - r + 127) // 256

    def updated(kept: int, added: int) -> int:
        if micro:
            first = _saturated(double_rounding(kept, *quantize_multiplier(2.0**-15)))
            second = double_rounding(added, *quantize_multiplier(2.0 ** (-30 - power)))
            second = _saturated(second) if _micro(engine) else second
        else:
            first, second = wrap(divide_by_pot(kept, 15), 16), wrap(divide_by_pot(added, 30 + power), 16)
        value = _saturated(first + second)
        return clamp(value, -clip, clip) if clip else value

    onward = quantize_multiplier(2.0**-30 / sh if micro else float(f32(2.0**-15) / f32(sh) * f32(2.0**-15)))
    out = np.zeros(output.shape, output.dtype)
    for n, t in np.ndindex(*x.shape[:2]):
        codes, state = [int(v) for v in x[n, t]], [int(v) for v in hidden[n]]
        for c in range(len(state)):
            enter, forget, new, leave = (gate(k, codes, state, c) for k in range(4))
            cell[n, c] = updated(logistic(forget) * int(cell[n, c]), logistic(enter) * tanh(new, -12))
            shown = double_rounding(logistic(leave) * tanh(int(cell[n, c]), power), *onward) + zh
            out[n, t, c] = clamp(shown, *type_range(output.dtype))
        hidden[n] = out[n, t]
    return out


HANDLERS_MORE: dict[str, Handler] = {
    handler.__name__.rstrip("_"): handler
    for handler in (
        sum_, reduce_max, reduce_min, arg_min, div, squared_difference, logical_and, logical_or, logical_not,
        l2_normalization, rsqrt, abs_, tile, broadcast_to, fill, shape, reverse_v2, space_to_batch_nd,
        batch_to_space_nd, cast, neg, select_v2, read_variable, assign_variable, svdf, unidirectional_sequence_lstm,
    )
} | {
    "equal": _compared(lambda a, b: a == b, sorts=False),
    "not_equal": _compared(lambda a, b: a != b, sorts=False),
    "less": _compared(lambda a, b: a < b, sorts=True),
    "less_equal": _compared(lambda a, b: a <= b, sorts=True),
    "greater": _compared(lambda a, b: a > b, sorts=True),
    "greater_equal": _compared(lambda a, b: a >= b, sorts=True),
    "exp": _tabled(_exp),
    "elu": _tabled(_elu, half_even_engine="xnnpack"),
    "gelu": _tabled(_exp),
}  # fmt: skip
