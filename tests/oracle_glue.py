"""Oracles of operators on plain numbers, of indices and of counts: loops over plain Python numbers, float32 rounded by
hand. Each gives a node's first output; they share no code with the package.
"""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from hwsim.graph import Tensor
from tests.naive.rounding import half_even, wrap
from tests.oracle_detection import f32

Array = np.ndarray[Any, Any]
Handler = Callable[..., Array]


def fit(value: Any, dtype: str) -> Any:
    """A result as the dtype holds it: rounded to float32, or wrapped."""
    if dtype == "float32":
        return f32(value) if math.isfinite(value) else value
    bits = np.dtype(dtype).itemsize * 8
    return bool(value) if dtype == "bool" else int(value) % 2**bits if dtype == "uint8" else wrap(int(value), bits)


def each(function: Callable[[Any], Any]) -> Handler:
    def handle(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
        found = [fit(function(v), output.dtype) for v in values[0].reshape(-1).tolist()]
        return np.array(found, output.dtype).reshape(output.shape)

    return handle


LIMITS = {"none": (-math.inf, math.inf), "relu": (0, math.inf), "relu6": (0, 6), "relu_n1_to_1": (-1, 1)}


def both(function: Callable[[Any, Any], Any]) -> Handler:
    def handle(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
        low, high = LIMITS[options.get("activation", "none")]
        out = np.empty(output.shape, output.dtype)
        for index in np.ndindex(*output.shape):
            one, other = (_at(value, index) for value in values)
            result = fit(function(one, other), output.dtype)
            out[index] = low if result < low else high if result > high else result
        return out

    return handle


def _at(value: Array, index: tuple[int, ...]) -> Any:
    tail = index[len(index) - value.ndim :]
    return value[tuple(min(i, n - 1) for i, n in zip(tail, value.shape, strict=True))].item()


def joined(function: Callable[[Any, Any], Any], first: Any, finish: Callable[..., Any] = lambda x, n: x) -> Handler:
    def handle(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
        x, axes = values[0], {int(axis) % values[0].ndim for axis in values[1].reshape(-1)}
        wide = "int64" if output.dtype == "int32" else output.dtype
        groups: dict[Any, Any] = {}
        count = math.prod(x.shape[axis] for axis in axes)
        for index in np.ndindex(*x.shape):
            key = tuple(i for axis, i in enumerate(index) if axis not in axes)
            groups[key] = fit(function(groups.get(key, first), x[index].item()), wide)
        return np.array([fit(finish(groups[k], count), output.dtype) for k in sorted(groups)], output.dtype).reshape(
            output.shape
        )

    return handle


def _truncated(one: int, other: int) -> int:
    return math.trunc(Fraction(one, other))


def _quotient(one: Any, other: Any) -> Any:
    return one / other if isinstance(one, float) else _truncated(one, other)


def _floor_quotient(one: Any, other: Any) -> Any:
    return math.floor(one / other) if isinstance(one, float) else one // other


def _remainder(one: Any, other: Any) -> Any:
    rest = math.fmod(one, other) if isinstance(one, float) else one - other * _truncated(one, other)
    return rest + other if rest and (rest < 0) != (other < 0) else rest


def _mean(total: Any, count: int) -> Any:
    return total / count if isinstance(total, float) else _truncated(total, count)


def gather_nd(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    out, depth = np.empty(output.shape, output.dtype), values[1].shape[-1]
    for place in np.ndindex(*values[1].shape[:-1]):
        out[place] = values[0][tuple(int(values[1][(*place, k)]) for k in range(depth))]
    return out


def scatter_nd(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    out = np.zeros(output.shape, output.dtype)
    for row, indices in enumerate(values[0].tolist()):
        part = values[1][row]
        for inner in np.ndindex(*part.shape):
            place = (*indices, *inner)
            out[place] = fit(out[place].item() + part[inner].item(), output.dtype)
    return out


def topk_v2(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    rows = values[0].reshape(-1, values[0].shape[-1]).tolist()
    best = [sorted(row, reverse=True)[: output.shape[-1]] for row in rows]
    return np.array(best, output.dtype).reshape(output.shape)


def cumsum(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    axis, out = int(values[1]) % values[0].ndim, np.empty(output.shape, output.dtype)
    for place in np.ndindex(*(n for k, n in enumerate(output.shape) if k != axis)):
        line = [(*place[:axis], k, *place[axis:]) for k in range(output.shape[axis])]
        total: Any = 0
        for index in reversed(line) if options["reverse"] else line:
            after = fit(total + values[0][index].item(), output.dtype)
            out[index], total = (total if options["exclusive"] else after), after
    return out


def add_n(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    out = np.empty(output.shape, output.dtype)
    for index in np.ndindex(*output.shape):
        total = values[0][index].item()
        for value in values[1:]:
            total = fit(total + value[index].item(), output.dtype)
        out[index] = total
    return out


def range_(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    start, _, step = (value.item() for value in values)
    steps = itertools.accumulate([start, *[step] * (output.shape[0] - 1)], lambda a, b: fit(a + b, output.dtype))
    return np.array(list(steps), output.dtype)


def one_hot(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    out = np.empty(output.shape, output.dtype)
    axis = options["axis"] % len(output.shape)
    for index in np.ndindex(*output.shape):
        there = values[0][(*index[:axis], *index[axis + 1 :])] == index[axis]
        out[index] = values[2 if there else 3]
    return out


def select(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    out = np.empty(output.shape, output.dtype)
    for index in np.ndindex(*output.shape):
        out[index] = values[1 if values[0][index[: values[0].ndim]] else 2][index]
    return out


def dynamic_update_slice(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    out = values[0].copy()
    starts = zip(values[2].tolist(), output.shape, values[1].shape, strict=True)
    place = [max(0, min(start, whole - part)) for start, whole, part in starts]
    for index in np.ndindex(*values[1].shape):
        out[tuple(p + i for p, i in zip(place, index, strict=True))] = values[1][index]
    return out


def rank(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return np.array(values[0].ndim, output.dtype)


def prelu(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return both(lambda x, slope: x if x >= 0 else x * slope)(options, tensors, values, output, engine)


def leaky_relu(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return each(lambda x: x if x > 0 else x * f32(options["alpha"]))(options, tensors, values, output, engine)


def concatenation(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    return np.concatenate(values, axis=options["axis"])


def pad(options: Any, tensors: Any, values: Any, output: Tensor, engine: str) -> Array:
    out = np.zeros(output.shape, output.dtype)
    for index in np.ndindex(*values[0].shape):
        out[tuple(i + int(before) for i, (before, _) in zip(index, values[1], strict=True))] = values[0][index]
    return out


HANDLERS_GLUE: dict[str, Handler] = {
    "sqrt": each(math.sqrt), "square": each(lambda x: x * x), "floor": each(math.floor), "ceil": each(math.ceil),
    "round": each(lambda x: half_even(Fraction(x))), "sign": each(lambda x: (x > 0) - (x < 0)),
    "zeros_like": each(lambda x: 0), "floor_div": both(_floor_quotient), "floor_mod": both(_remainder),
    "reduce_prod": joined(lambda a, b: a * b, 1), "reduce_any": joined(lambda a, b: a or b, False),
    "reduce_all": joined(lambda a, b: a and b, True), "gather_nd": gather_nd, "scatter_nd": scatter_nd,
    "topk_v2": topk_v2, "cumsum": cumsum, "add_n": add_n, "range": range_, "one_hot": one_hot, "rank": rank,
    "select": select, "dynamic_update_slice": dynamic_update_slice,
}  # fmt: skip

HANDLERS_NUMBERS: dict[str, Handler] = {
    "add": both(lambda a, b: a + b), "sub": both(lambda a, b: a - b), "mul": both(lambda a, b: a * b),
    "div": both(_quotient), "maximum": both(max), "minimum": both(min),
    "squared_difference": both(lambda a, b: fit(a - b, "float32" if isinstance(a, float) else "int32") ** 2),
    "abs": each(abs), "relu": each(lambda x: max(x, 0)), "relu6": each(lambda x: min(max(x, 0), 6)),
    "relu_n1_to_1": each(lambda x: min(max(x, -1), 1)),
    "rsqrt": each(lambda x: 1 / f32(math.sqrt(x)) if x else math.inf),
    "sum": joined(lambda a, b: a + b, 0), "mean": joined(lambda a, b: a + b, 0, _mean), "prelu": prelu,
    "leaky_relu": leaky_relu, "concatenation": concatenation, "pad": pad,
}  # fmt: skip
