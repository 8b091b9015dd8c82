"""I-BERT's operators once more, in torch's int64 and float64, from the published formulas; see `_reference`.

Source: Kim et al., I-BERT (arXiv 2101.01321), algorithms 1 to 4, with the constants and the orders of rounding of
kssteven418/I-BERT fairseq/quantization/utils/quant_modules.py. Sums of products are exact in float64.
"""

from math import floor, isqrt, log2

import torch

from hwsim.graph import Graph, Node, Tensor
from hwsim.torch_bridge._reference import MOVES, Operator, Values, activated, half_away, scale_of, zero_of


def _rounded(values: torch.Tensor, real: float) -> torch.Tensor:
    """Integers times a real number, written as b / 2^c with 31 bits of b, in float64; ties to even."""
    return (values.double() * _dyadic(real)).round().long()


def _dyadic(real: float) -> float:
    """The nearest number with 31 significant bits, ties away from zero."""
    exponent = floor(log2(abs(real))) + 1
    return half_away(real * 2.0 ** (31 - exponent)) * 2.0 ** (exponent - 31)


def _product(first: float, second: float) -> float:
    """The product of two scales in float32."""
    return float(torch.tensor(first, dtype=torch.float32) * torch.tensor(second, dtype=torch.float32))


def _ends(graph: Graph, node: Node) -> tuple[Tensor, Tensor]:
    return graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]


def _fully_connected(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source, output = _ends(graph, node)
    weights = graph.tensors[node.inputs[1]].format
    assert weights is not None
    x, taps, bias = values
    sums = ((x - zero_of(source)).reshape(len(x), -1, taps.shape[1]).double() @ taps.T.double()).long() + bias
    reals = [_product(scale_of(source), float(scale)) / scale_of(output) for scale in weights.scale]
    columns = sums.unbind(-1)
    reals = reals * (len(columns) // len(reals))
    moved = torch.stack([_rounded(column, real) for column, real in zip(columns, reals, strict=True)], -1)
    return activated(moved + zero_of(output), node, output)


def _batch_matmul(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    first, second, output = (graph.tensors[i] for i in (*node.inputs, *node.outputs))
    a, b = values[0] - zero_of(first), values[1] - zero_of(second)
    a = a.transpose(-1, -2) if node.attributes["adj_x"] else a
    b = b.transpose(-1, -2) if node.attributes["adj_y"] else b
    sums = (a.double() @ b.double()).long()
    return _rounded(sums, _product(scale_of(first), scale_of(second)) / scale_of(output)) + zero_of(output)


def _add(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    output = graph.tensors[node.outputs[0]]
    sources = [graph.tensors[i] for i in node.inputs]
    parts = [
        _rounded(value - zero_of(source), scale_of(source) / scale_of(output))
        for value, source in zip(values, sources, strict=True)
    ]
    return activated(parts[0] + parts[1] + zero_of(output), node, output)


def _quantize(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source, output = _ends(graph, node)
    return _rounded(values[0] - zero_of(source), scale_of(source) / scale_of(output)) + zero_of(output)


def _mean(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source, output = _ends(graph, node)
    axes = [int(axis) for axis in values[1].reshape(-1)]
    sums = (values[0] - zero_of(source)).sum(axes, keepdim=True)
    count = values[0].numel() // sums.numel()
    return _rounded(sums, scale_of(source) / (scale_of(output) * count)) + zero_of(output)


def _softmax(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source, output = _ends(graph, node)
    scale = scale_of(source) * float(torch.tensor(node.attributes["beta"], dtype=torch.float32))
    logarithm, linear, constant = (
        floor(-0.6931 / scale), floor(0.96963238 / 0.35815147 / scale), floor(1 / 0.35815147 / scale**2)
    )  # fmt: skip
    below = (values[0] - values[0].amax(-1, keepdim=True)).clamp(min=30 * logarithm)
    halvings = below.div(logarithm, rounding_mode="floor")
    rest = below - logarithm * halvings
    raised = ((rest * (rest + linear) + constant) * 2 ** (30 - halvings)).clamp(min=0)
    unit = 0.35815147 * scale**2 / 2.0**30
    narrow = (raised.double() * (unit * 32767.0)).round().clamp(max=32767).long()
    factor = (2**32 // narrow.sum(-1, keepdim=True)).long()
    return (narrow * factor).div(2**24, rounding_mode="floor") + zero_of(output)


def _gelu(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source, output = _ends(graph, node)
    scale, x = scale_of(source), values[0] - zero_of(source)
    inner = scale / 1.4142
    bound, constant = floor(-1.769 / inner), floor(1 / -0.2888 / inner**2)
    curve = x.sign() * ((x.abs().clamp(max=-bound) + bound) ** 2 + constant)
    unit = inner**2 * -0.2888 * 2.0**14
    product = x * (curve.div(2**14, rounding_mode="floor") + floor(1 / unit))
    return _rounded(product, scale * unit / 2 / scale_of(output)) + zero_of(output)


def _layer_norm(graph: Graph, node: Node, values: Values) -> torch.Tensor:
    source, output = _ends(graph, node)
    gamma, beta = (
        (value.double() - zero_of(graph.tensors[i])) * scale_of(graph.tensors[i])
        for value, i in zip(values[1:], node.inputs[1:], strict=True)
    )
    x = values[0] - zero_of(source)
    depth = x.shape[-1]
    bits = {"int8": 8, "uint8": 8, "int16": 16, "int32": 22}[source.dtype]
    shift = 0
    while depth * 4 ** (bits - shift) > 2**32:
        shift += 1
    y = x - (x.sum(-1, keepdim=True).double() / depth).round().long()
    squares = (y.div(2**shift, rounding_mode="floor") ** 2).sum(-1, keepdim=True)
    roots = torch.tensor([isqrt(v) for v in squares.reshape(-1).tolist()]).reshape(squares.shape) * 2**shift
    factor = torch.div(torch.tensor(2**31), roots.clamp(min=1), rounding_mode="floor")
    unit = depth**0.5 / 2.0**30
    normal = (y * factor).div(2, rounding_mode="floor") + (beta / gamma / unit).floor().long()
    reals = [unit * float(g) / scale_of(output) for g in gamma]
    moved = [_rounded(column, real) for column, real in zip(normal.unbind(-1), reals, strict=True)]
    return torch.stack(moved, -1) + zero_of(output)


IBERT: dict[str, Operator] = MOVES | {
    "fully_connected": _fully_connected, "batch_matmul": _batch_matmul, "add": _add, "quantize": _quantize,
    "mean": _mean,
    "softmax": _softmax, "gelu": _gelu, "layer_norm": _layer_norm,
}  # fmt: skip
