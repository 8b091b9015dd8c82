"""I-BERT's integers in plain Python, operator by operator: integers, floor division, and floats for constants alone.

Written from Kim et al., I-BERT (arXiv 2101.01321), and kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py;
nothing here comes from the package but the graph that is read.
"""

import math
from typing import Any

import numpy as np

from hwsim.graph import Graph, Node

Array = np.ndarray[Any, Any]


def fixed(value: int, real: float) -> int:
    """batch_frexp and fixedpoint_mul: `real` as an integer of 31 bits over a power of two, ties of the result even."""
    fraction, exponent = math.frexp(real)
    multiplier = math.floor(abs(fraction) * 2**31 + 0.5) * (1 if real >= 0 else -1)
    return round(float(value) * float(multiplier) / 2.0 ** (31 - exponent))


def exponential(q: int, scale: float) -> int:
    """Algorithm 2, in units of 0.35815147 * scale^2 / 2^30."""
    x0 = math.floor(-0.6931 / scale)
    b, c = math.floor(0.96963238 / 0.35815147 / scale), math.floor(1.0 / 0.35815147 / scale**2)
    q = max(q, 30 * x0)
    z = q // x0
    r = q - x0 * z
    return max((r * (r + b) + c) * 2 ** (30 - z), 0)


def softmax_row(row: list[int], scale: float) -> list[int]:
    """Shares of 256. Exponentials go to 16 bits, at the scale that makes 1 the largest code."""
    unit = 0.35815147 * scale**2 / 2.0**30
    parts = [min(round(exponential(q - max(row), scale) * (unit * 32767.0)), 32767) for q in row]
    return [part * (2**32 // sum(parts)) // 2**24 for part in parts]


def gelu(q: int, scale: float) -> tuple[int, float]:
    """Algorithm 1, and the unit of the result."""
    inner = scale / 1.4142
    b, c = math.floor(-1.769 / inner), math.floor(1.0 / -0.2888 / inner**2)
    curve = (min(abs(q), -b) + b) ** 2 + c
    curve = (curve if q > 0 else -curve if q < 0 else 0) // 2**14
    unit = inner**2 * -0.2888 * 2.0**14
    return q * (curve + math.floor(1.0 / unit)), scale * unit / 2


def layer_norm_row(row: list[int], gamma: list[float], beta: list[float], shift: int) -> tuple[list[int], float]:
    """Section 3.5, and the unit of the result without gamma."""
    depth = len(row)
    whole, rest = divmod(sum(row), depth)
    mean = whole + (2 * rest > depth or (2 * rest == depth and whole % 2 == 1))
    squares = sum(((v - mean) // 2**shift) ** 2 for v in row)
    assert squares < 2**32
    factor = 2**31 // max(math.isqrt(squares) * 2**shift, 1)
    unit = math.sqrt(depth) / 2.0**30
    offsets = [math.floor(b / g / unit) for g, b in zip(gamma, beta, strict=True)]
    return [(v - mean) * factor // 2 + offset for v, offset in zip(row, offsets, strict=True)], unit


class Evaluation:
    """One node of a graph: its tensors, and what they hold."""

    def __init__(self, graph: Graph, node: Node, known: dict[int, Array]) -> None:
        self.node, self.tensors = node, [graph.tensors[i] for i in node.inputs]
        self.output = graph.tensors[node.outputs[0]]
        self.values = [
            known[i] if t.data is None else t.data for i, t in zip(node.inputs, self.tensors, strict=True)
        ]  # fmt: skip

    def scale(self, position: int) -> float:
        return float(self.tensors[position].format.scale[0])

    def centered(self, position: int) -> Array:
        zero = int(self.tensors[position].format.zero_point[0])
        return np.array([int(v) - zero for v in self.values[position].flat], object).reshape(
            self.values[position].shape
        )

    @property
    def target(self) -> float:
        return float(self.output.format.scale[0])

    def codes(self, values: Array) -> Array:
        """Integers at the output's scale as its codes."""
        info, zero = np.iinfo(self.output.dtype), int(self.output.format.zero_point[0])
        flat = [min(max(int(v) + zero, info.min), info.max) for v in np.asarray(values, object).flat]
        return np.array(flat, self.output.dtype).reshape(self.output.shape)

    def rescaled(self, values: Array, real: float) -> Array:
        flat = [fixed(int(v), real) for v in values.flat]
        return np.array(flat, object).reshape(values.shape)


def _float32(*factors: float) -> float:
    product = np.float32(1.0)
    for factor in factors:
        product = product * np.float32(factor)
    return float(product)


def fully_connected(e: Evaluation) -> Array:
    weights, bias = e.values[1].tolist(), e.values[2].tolist()
    scales = [float(s) for s in e.tensors[1].format.scale] * (len(weights) // e.tensors[1].format.scale.size)
    out = []
    for row in e.centered(0).reshape(-1, len(weights[0])).tolist():
        for taps, offset, scale in zip(weights, bias, scales, strict=True):
            total = offset + sum(a * b for a, b in zip(row, taps, strict=True))
            out.append(fixed(total, _float32(e.scale(0), scale) / e.target))
    return e.codes(np.array(out, object))


def batch_matmul(e: Evaluation) -> Array:
    a, b = e.centered(0), e.centered(1)
    a = a.swapaxes(-1, -2) if e.node.attributes["adj_x"] else a
    b = b.swapaxes(-1, -2) if e.node.attributes["adj_y"] else b
    real = _float32(e.scale(0), e.scale(1)) / e.target
    return e.codes(e.rescaled(np.matmul(a, b), real))  # of Python integers


def add(e: Evaluation) -> Array:
    return e.codes(sum(e.rescaled(e.centered(i), e.scale(i) / e.target) for i in range(2)))


def quantize(e: Evaluation) -> Array:
    return e.codes(e.rescaled(e.centered(0), e.scale(0) / e.target))


def softmax(e: Evaluation) -> Array:
    rows = e.values[0].reshape(-1, e.values[0].shape[-1]).tolist()
    scale = e.scale(0) * float(np.float32(e.node.attributes["beta"]))
    return e.codes(np.array([softmax_row(row, scale) for row in rows], object))


def gelu_node(e: Evaluation) -> Array:
    found = [gelu(q, e.scale(0)) for q in e.centered(0).flat]
    return e.codes(np.array([fixed(q, unit / e.target) for q, unit in found], object))


def layer_norm(e: Evaluation) -> Array:
    gamma, beta = ([float(v * e.scale(i)) for v in e.centered(i)] for i in (1, 2))
    depth = len(gamma)
    shift = e.node.attributes.get("shift")
    if shift is None:
        bits = {"int8": 8, "uint8": 8, "int16": 16, "int32": 22}[e.tensors[0].dtype]
        shift = next(s for s in range(32) if depth * 4 ** (bits - s) <= 2**32)
    out = []
    for row in e.centered(0).reshape(-1, depth).tolist():
        normal, unit = layer_norm_row(row, gamma, beta, shift)
        out += [fixed(v, unit * g / e.target) for v, g in zip(normal, gamma, strict=True)]
    return e.codes(np.array(out, object))


def strided_slice(e: Evaluation) -> Array:
    source, *parts = e.values
    return source[tuple(slice(b, n, s) for b, n, s in zip(*(p.tolist() for p in parts), strict=True))]


HANDLERS = {
    "fully_connected": fully_connected,
    "batch_matmul": batch_matmul,
    "add": add,
    "quantize": quantize,
    "softmax": softmax,
    "gelu": gelu_node,
    "layer_norm": layer_norm,
    "reshape": lambda e: e.values[0].reshape(e.output.shape),
    "transpose": lambda e: e.values[0].transpose(e.values[1]),
    "strided_slice": strided_slice,
}


def evaluate(graph: Graph, inputs: list[Array]) -> dict[str, Array]:
    """Every computed tensor by name, for one sample of the declared shapes."""
    known = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        known[node.outputs[0]] = HANDLERS[node.op](Evaluation(graph, node, known))
    return {graph.tensors[i].name: value for i, value in known.items()}
