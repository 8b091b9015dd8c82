"""A transformer's encoder layer as a float graph, written node by node: what torch's would be imported as."""

import numpy as np

from hwsim.graph import Graph
from hwsim.graph.build import Builder

Generator = np.random.Generator


def encoder(
    g: Generator, *, tokens: int = 5, width: int = 8, heads: int = 2, hidden: int = 12, pre: bool = False
) -> Graph:
    """Attention and a hidden layer, each added to what it read; layer norm after both, or `pre` before them."""
    b = Builder("encoder")
    x = b.input("x", (1, tokens, width))
    read = _norm(b, g, x, "norm1") if pre else x
    x = _sum(b, x, _attention(b, g, read, heads), "sum1")
    x = x if pre else _norm(b, g, x, "norm1")
    read = _norm(b, g, x, "norm2") if pre else x
    inner = _linear(b, g, read, hidden, "wide")
    inner = b.node("gelu", (inner,), b.shape(inner), "gelu", approximate=False)
    x = _sum(b, x, _linear(b, g, inner, width, "narrow"), "sum2")
    return b.graph(x if pre else _norm(b, g, x, "norm2"))


def _attention(b: Builder, g: Generator, x: int, heads: int) -> int:
    _, tokens, width = b.shape(x)
    query, key, value = (_heads(b, _linear(b, g, x, width, name), heads, name) for name in ("query", "key", "value"))
    shape = 1, heads, tokens, tokens
    scores = b.node("batch_matmul", (query, key), shape, "scores", adj_x=False, adj_y=True)
    shares = b.node("softmax", (scores,), shape, "shares", beta=(width / heads) ** -0.5)
    mixed = b.node("batch_matmul", (shares, value), b.shape(value), "mixed", adj_x=False, adj_y=False)
    back = _turned(b, mixed, "back")
    return _linear(b, g, _reshaped(b, back, (1, tokens, width), "joined"), width, "out")


def _heads(b: Builder, x: int, heads: int, name: str) -> int:
    _, tokens, width = b.shape(x)
    return _turned(b, _reshaped(b, x, (1, tokens, heads, width // heads), f"{name}_split"), f"{name}_heads")


def _linear(b: Builder, g: Generator, x: int, channels: int, name: str) -> int:
    *outer, depth = b.shape(x)
    weights = b.constant(f"{name}_w", g.normal(0, depth**-0.5, (channels, depth)).astype(np.float32))
    bias = b.constant(f"{name}_b", g.normal(0, 0.1, channels).astype(np.float32))
    rows = _reshaped(b, x, (outer[1], depth), f"{name}_rows")
    flat = b.node("fully_connected", (rows, weights, bias), (outer[1], channels), f"{name}_flat", activation="none")
    return _reshaped(b, flat, (*outer, channels), name)


def _norm(b: Builder, g: Generator, x: int, name: str) -> int:
    depth = b.shape(x)[-1]
    gamma = (g.uniform(0.5, 1.5, depth) * g.choice([-1, 1], depth, p=[0.1, 0.9])).astype(np.float32)
    parts = b.constant(f"{name}_gamma", gamma), b.constant(f"{name}_beta", g.normal(0, 0.3, depth).astype(np.float32))
    return b.node("layer_norm", (x, *parts), b.shape(x), name, epsilon=1e-5)


def _sum(b: Builder, x: int, y: int, name: str) -> int:
    return b.node("add", (x, y), b.shape(x), name, activation="none")


def _reshaped(b: Builder, x: int, shape: tuple[int, ...], name: str) -> int:
    return b.node("reshape", (x, b.constant(f"{name}_shape", np.array(shape, np.int32))), shape, name)


def _turned(b: Builder, x: int, name: str) -> int:
    order = (0, 2, 1, 3)
    shape = [b.shape(x)[axis] for axis in order]
    return b.node("transpose", (x, b.constant(f"{name}_order", np.array(order, np.int32))), shape, name)
