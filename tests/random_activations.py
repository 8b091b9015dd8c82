"""Random graphs of one activation each, in the style of `tests.random_graphs`, which includes them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.graph import Graph
from tests.build import codes, single, tensor

Generator = np.random.Generator
Shape = tuple[int, ...]


def _shape(g: Generator) -> Shape:
    """Of sizes that fill vectors, and sizes that do not."""
    return (1, *(int(v) for v in g.integers(1, 8, 2)), int(g.integers(1, 40)))


def _zero_point(g: Generator, dtype: str) -> int:
    if dtype == "int16":
        return 0
    info = np.iinfo(dtype)
    return int(g.integers(info.min, info.max, endpoint=True))


def _input_scale(g: Generator, dtype: str = "int8") -> float:
    """From 0.0002 to 1: codes all near zero, and codes that nearly all saturate; int16 codes finer, at times powers of
    two, which some kernels treat apart.
    """
    if dtype == "int16":
        return 2.0 ** int(g.integers(-14, -8)) if g.integers(3) == 0 else float(np.float32(10 ** g.uniform(-5.5, -2)))
    return float(np.float32(10 ** g.uniform(-3.7, 0)))


def _scales(g: Generator) -> tuple[float, float]:
    """Input and output: coarse ratios tell roundings apart, eighths make ties, and the rest are any others."""
    source = _input_scale(g)
    ratios = [g.uniform(0.05, 3), 2.0 ** int(g.integers(-4, 3)), int(g.integers(1, 24)) / 8, 10 ** g.uniform(-2.5, 2)]
    return source, float(np.float32(source / ratios[int(g.integers(4))]))


def _one(op: str, g: Generator, dtype: str, **options: Any) -> Graph:
    shape, (source, target) = _shape(g), _scales(g)
    x = tensor("x", shape, dtype, source, _zero_point(g, dtype))
    return single(op, [x], tensor("y", shape, dtype, target, _zero_point(g, dtype)), **options)


def relu(g: Generator, dtype: str) -> Graph:
    return _one("relu", g, dtype)


def relu_n1_to_1(g: Generator, dtype: str) -> Graph:
    return _one("relu_n1_to_1", g, dtype)


def relu6(g: Generator, dtype: str) -> Graph:
    """Scales that put 6 among the codes, often the same on both sides: TFLM looks at the input's alone."""
    shape, source, zero_point = _shape(g), float(np.float32(g.uniform(0.03, 0.3))), _zero_point(g, dtype)
    target, other = (source, zero_point) if g.integers(2) else (_input_scale(g), _zero_point(g, dtype))
    x = tensor("x", shape, dtype, source, zero_point)
    return single("relu6", [x], tensor("y", shape, dtype, target, other))


def leaky_relu(g: Generator, dtype: str) -> Graph:
    alpha = [0.1, 0.2, 0.3, g.uniform(0, 1), g.uniform(0, 4), g.uniform(-2, 0)][int(g.integers(6))]
    return _one("leaky_relu", g, dtype, alpha=float(np.float32(alpha)))


def prelu(g: Generator, dtype: str) -> Graph:
    shape, (source, target) = _shape(g), _scales(g)
    shared = [(1, 1, shape[-1]), shape[1:], (1, 1, 1), shape][int(g.integers(4))]
    size = g.choice([0.002, 0.01, 0.125 / 127])
    x = tensor("x", shape, dtype, source, _zero_point(g, dtype))
    kind = "int8" if dtype == "int16" else dtype
    slopes = tensor("a", shared, kind, size, _zero_point(g, kind), data=codes(g, shared, kind))
    return single("prelu", [x, slopes], tensor("y", shape, dtype, target, _zero_point(g, dtype)))


def logistic(g: Generator, dtype: str) -> Graph:
    shape = _shape(g)
    x = tensor("x", shape, dtype, _input_scale(g, dtype), _zero_point(g, dtype))
    target = (2.0**-15, 0) if dtype == "int16" else (1 / 256, np.iinfo(dtype).min)
    return single("logistic", [x], tensor("y", shape, dtype, *target))


def tanh(g: Generator, dtype: str) -> Graph:
    """Converters write an output scale of 1/128; LiteRT and XNNPACK take any, TFLM looks at none."""
    shape, middle = _shape(g), 0 if dtype == "int8" else 128
    x = tensor("x", shape, dtype, _input_scale(g, dtype), _zero_point(g, dtype))
    if dtype == "int16":
        return single("tanh", [x], tensor("y", shape, dtype, 2.0**-15))
    target = (1 / 128, middle) if g.integers(4) else (float(np.float32(g.uniform(0.002, 0.05))), _zero_point(g, dtype))
    return single("tanh", [x], tensor("y", shape, dtype, *target))


def hard_swish(g: Generator, dtype: str) -> Graph:
    return _one("hard_swish", g, dtype)


MAKERS_ACTIVATIONS: dict[str, Callable[[Generator, str], Graph]] = {
    maker.__name__: maker for maker in (relu, relu6, relu_n1_to_1, leaky_relu, prelu, logistic, tanh, hard_swish)
}
