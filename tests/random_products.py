"""Random graphs of one TRANSPOSE_CONV or BATCH_MATMUL, in the style of `tests.random_graphs`, which includes them."""

from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.graph import Graph
from tests.build import codes, constant, single, tensor

Generator = np.random.Generator


def _scale(g: Generator) -> float:
    return float(np.float32(g.uniform(0.01, 0.1)))


def _zero_point(g: Generator, dtype: str) -> int:
    info = np.iinfo(dtype)
    return 0 if dtype == "int16" else int(g.integers(info.min, info.max, endpoint=True))


def _target(g: Generator, dtype: str, product: float, depth: int) -> float:
    """Coarse multipliers, 0.05 to 0.7, tell the roundings apart; fine ones are what networks have."""
    fine = product * 74 * np.sqrt(depth) * g.uniform(0.3, 3)
    if dtype == "int16":
        return float(np.float32(fine * g.choice([1.0, 1.0, 0.01])))
    return float(np.float32(product / g.uniform(0.05, 0.7) if g.integers(2) else fine))


def transpose_conv(g: Generator, dtype: str) -> Graph:
    """With int64 bias for int16, int32 for 'int16_int32'."""
    kind, _, bias_kind = dtype.partition("_")
    (sh, sw), (fh, fw), (h, w) = (g.integers(1, high, 2) for high in (4, 5, 6))
    channels, filters, padding = int(g.integers(1, 20)), int(g.integers(1, 20)), "same" if g.integers(2) else "valid"
    extra = [int(g.integers(0, s)) for s in (sh, sw)]
    if padding == "same":
        out = [int(n * s) - e for n, s, e in zip((h, w), (sh, sw), extra, strict=True)]
    else:
        out = [int((n - 1) * s + f) + e for n, s, f, e in zip((h, w), (sh, sw), (fh, fw), extra, strict=True)]
    shape, si = (filters, int(fh), int(fw), channels), _scale(g)
    per_channel = kind != "uint8" and bool(g.integers(2))
    sizes: Any = g.uniform(0.01, 0.1, filters).astype(np.float32) if per_channel else _scale(g)
    weights = tensor("w", shape, "uint8" if kind == "uint8" else "int8", sizes,
                     _zero_point(g, "uint8") if kind == "uint8" else 0, 0 if per_channel else None,
                     codes(g, shape, "uint8") if kind == "uint8" else np.maximum(codes(g, shape), -127))  # fmt: skip
    so = _target(g, kind, si * float(np.max(sizes)), channels * int(fh * fw))
    x = tensor("x", (1, int(h), int(w), channels), kind, si, _zero_point(g, kind))
    y = tensor("y", (1, *out, filters), kind, so, _zero_point(g, kind))
    wide = kind == "int16" and not bias_kind
    size = 1_500_000 if kind == "int16" else 5000
    bias = tensor("b", (filters,), "int64" if wide else "int32", np.float32(si) * sizes, 0, 0 if per_channel else None,
                  g.integers(-size, size, filters))  # fmt: skip
    options = {"padding": padding, "stride_h": int(sh), "stride_w": int(sw)}
    options["activation"] = "none" if kind == "int16" else str(g.choice(["none", "none", "relu"]))
    if kind == "int16":
        options["quantized_bias_type"] = "int32" if bias_kind else str(g.choice(["float32", "int64"]))
    inputs = [constant("shape", y.shape), weights, x, bias if g.integers(3) else None]
    return single("transpose_conv", inputs, y, **options)


def batch_matmul(g: Generator, dtype: str) -> Graph:
    """'int16_int8' has an int8 second matrix."""
    kind, _, other = dtype.partition("_")
    other = other or kind
    rows, depth, columns = (int(v) for v in g.integers(1, 20, 3))
    outer = [1, *(int(v) for v in g.integers(1, 4, int(g.integers(0, 3))))]
    left, right = (tuple(1 if g.integers(3) == 0 else n for n in outer) for _ in range(2))
    adj_x, adj_y = bool(g.integers(2)), bool(g.integers(2))
    first = (*left, depth, rows) if adj_x else (*left, rows, depth)
    second = (*right, columns, depth) if adj_y else (*right, depth, columns)
    sx, sw = _scale(g), _scale(g)
    x = tensor("x", first, kind, sx, _zero_point(g, kind))
    fixed = codes(g, second, other) if g.integers(4) == 0 else None
    symmetric = kind == "int16" or (fixed is not None and g.integers(2) == 0)  # as weights are
    w = tensor("w", second, other, sw, 0 if symmetric else _zero_point(g, other), data=fixed)
    spread = 74 if other != "int16" else 18000
    so = _target(g, kind, sx * sw * spread / 74, depth)
    y = tensor("y", (*np.broadcast_shapes(left, right), rows, columns), kind, so, _zero_point(g, kind))
    return single("batch_matmul", [x, w], y, adj_x=adj_x, adj_y=adj_y, asymmetric_quantize_inputs=False)


MAKERS_PRODUCTS: dict[str, Callable[[Generator, str], Graph]] = {
    maker.__name__: maker for maker in (transpose_conv, batch_matmul)
}
