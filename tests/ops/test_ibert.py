"""GELU, softmax, layer norm, sums and products under I-BERT: exhaustive where codes allow, against plain integers."""

import math
from fractions import Fraction

import numpy as np
import pytest

import hwsim
from hwsim.errors import GraphError, ShapeError, UnsupportedError
from tests import oracle_ibert
from tests.build import codes, single, tensor

BYTES = np.arange(-128, 128, dtype=np.int8)
PAIRS = np.stack(np.meshgrid(BYTES, BYTES, indexing="ij"), -1).reshape(-1, 2)
GAMMA, BETA = [1.3, -0.7], [0.2, 0.45]


def equal(graph, x, samples=None):
    """Every code of the graph's output, a row of the input at a time; or of the first `samples` of them."""
    got = hwsim.simulate(graph, x, "ibert").outputs[0]
    expected = oracle_ibert.evaluate(graph, [x[:samples]])[graph.tensors[graph.outputs[0]].name]
    np.testing.assert_array_equal(got[:samples], expected)
    return got


def norm(x, y, gamma, beta, **options):
    parts = [
        tensor(name, (len(values),), "int32", 2.0**-28, data=np.rint(np.array(values) * 2**28))
        for name, values in (("gamma", gamma), ("beta", beta))
    ]
    return single("layer_norm", [x, *parts], y, **options)


@pytest.mark.parametrize("scale", [2.0**-9, 8 / 32767, 1 / 32767])
@pytest.mark.parametrize(("dtype", "zero_point"), [("int8", -7), ("int16", 0)])
def test_gelu_of_every_code(scale, dtype, zero_point):
    x = np.arange(-32768, 32768).astype(np.int16)[None]
    target = 32768 * scale / (127 if dtype == "int8" else 32767)
    graph = single("gelu", [tensor("x", x.shape, "int16", scale)], tensor("y", x.shape, dtype, target, zero_point))
    got = equal(graph, x)
    real = x[0] * float(np.float32(scale))
    exact = np.array([0.5 * v * math.erfc(-v / math.sqrt(2)) for v in real])
    top = 127 if dtype == "int8" else 32767
    inside = exact < (top - zero_point) * target
    error = np.abs((got[0] - np.int64(zero_point)) * target - exact)
    dropped = np.abs(real) * scale**2 * 2400  # 14 bits of the erf
    assert (error < 0.025 + target / 2 + dropped)[inside].all()  # the polynomial's own error, and half a code


@pytest.mark.parametrize("scale", [0.03, 0.2])
def test_softmax_of_every_pair_of_codes(scale):
    graph = single(
        "softmax", [tensor("x", (len(PAIRS), 2), "int8", scale)], tensor("y", (len(PAIRS), 2), "int8", 1 / 256, -128),
        beta=0.35,
    )  # fmt: skip
    equal(graph, PAIRS)


def test_softmax_of_fine_codes():
    x = codes(np.random.default_rng(0), (40, 9), "int16")
    graph = single("softmax", [tensor("x", x.shape, "int16", 2.0**-11)], tensor("y", x.shape, "int8", 1 / 256, -128))
    graph.nodes[0].attributes["beta"] = 0.25
    equal(graph, x)


@pytest.mark.parametrize("target", [0.012, 0.05])
@pytest.mark.parametrize("zero_point", [0, -5])
def test_layer_norm_of_every_pair_of_codes(target, zero_point):
    y = tensor("y", PAIRS.shape, "int8", target, 11)
    equal(norm(tensor("x", PAIRS.shape, zero_point=zero_point), y, GAMMA, BETA), PAIRS)


@pytest.mark.parametrize(("dtype", "span"), [("int8", 120), ("int16", 32000), ("int32", 1 << 20)])
@pytest.mark.parametrize("depth", [1, 3, 64, 257])
def test_layer_norm_of_rows(dtype, span, depth):
    g = np.random.default_rng([depth, span])
    x = (g.integers(-span, span, (30, depth)) * g.uniform(0.01, 1, (30, 1))).astype(dtype)
    x[0], x[1] = 7, np.where(np.arange(depth) % 2, span, -span)
    gamma, beta = g.uniform(0.5, 2, depth) * g.choice([-1, 1], depth), g.normal(0, 1, depth)
    y = tensor("y", x.shape, "int8", 6 / 127, 3)
    got = equal(norm(tensor("x", x.shape, dtype), y, gamma, beta), x)
    if depth == 64 and dtype != "int8":
        rows = x[2:].astype(float)
        real = (rows - rows.mean(1, keepdims=True)) / rows.std(1, keepdims=True) * gamma + beta
        error = np.abs((got[2:].astype(int) - 3) * (6 / 127) - np.clip(real, -131 * 6 / 127, 124 * 6 / 127))
        assert np.median(error) < 6 / 127 / 2


def test_layer_norm_drops_the_bits_it_is_told_to():
    x = codes(np.random.default_rng(3), (20, 8), "int16")
    y = tensor("y", x.shape, "int8", 0.03)
    graphs = [norm(tensor("x", x.shape, "int16"), y, [1.0] * 8, [0.0] * 8, shift=shift) for shift in (2, 9)]
    outputs = [equal(graph, x) for graph in graphs]
    assert (outputs[0] != outputs[1]).any()


@pytest.mark.parametrize(("kinds", "points"), [("88", (3, -9)), ("8w", (-20, 0)), ("w8", (0, 4)), ("ww", (0, 0))])
@pytest.mark.parametrize("out", ["int8", "int16"])
def test_sums_of_codes_of_either_width(kinds, points, out):
    g = np.random.default_rng(1)
    dtypes = ["int8" if kind == "8" else "int16" for kind in kinds]
    sources = [
        tensor(name, (50, 40), dtype, 0.03 if dtype == "int8" else 1.1e-4, point)
        for name, dtype, point in zip("ab", dtypes, points, strict=True)
    ]
    graph = single("add", sources, tensor("y", (50, 40), out, 0.05 if out == "int8" else 2e-4), activation="none")
    values = [codes(g, (50, 40), dtype) for dtype in dtypes]
    got = hwsim.simulate(graph, values, "ibert").outputs[0]
    np.testing.assert_array_equal(got, oracle_ibert.evaluate(graph, values)["y"])


ROUNDED = {
    "dyadic": lambda total, real: math.floor(multiplier(real) * total + Fraction(1, 2)),
    "shift": lambda total, real: math.floor(power(real) * total + Fraction(1, 2)),
    "hawq-v3": lambda total, real: round(multiplier(real) * total),
    "ibert": lambda total, real: oracle_ibert.fixed(total, real),
}
"""How engines round a sum of products; below 2^22 HAWQ-V3's float64 is exact."""


def multiplier(real):
    fraction, exponent = math.frexp(real)
    return Fraction(math.floor(fraction * 2**31 + 0.5)) * Fraction(2) ** (exponent - 31)


def power(real):
    fraction, exponent = math.frexp(real)
    return Fraction(2) ** (exponent - (fraction < math.sqrt(0.5)))


@pytest.mark.parametrize("engine", sorted(ROUNDED))
@pytest.mark.parametrize("target", [0.7, 1.0])
def test_products_of_every_pair_of_codes(engine, target):
    ends = [tensor("a", (256, 1), scale=0.1, zero_point=-3), tensor("b", (1, 256), scale=0.25, zero_point=7)]
    graph = single("batch_matmul", ends, tensor("y", (256, 256), scale=target, zero_point=5), adj_x=False, adj_y=False)
    (got,) = hwsim.simulate(graph, [BYTES[:, None], BYTES[None]], engine).outputs
    real = float(np.float32(0.1)) * 0.25 / float(np.float32(target))  # float32 holds the product
    for row, a in zip(got.tolist(), BYTES.tolist(), strict=True):
        expected = [ROUNDED[engine]((a + 3) * (b - 7), real) + 5 for b in BYTES.tolist()]
        assert row == [min(max(v, -128), 127) for v in expected]


@pytest.mark.parametrize("engine", sorted(ROUNDED))
@pytest.mark.parametrize(("adj_x", "adj_y"), [(False, True), (True, False), (True, True)])
def test_products_of_matrices_in_any_order(engine, adj_x, adj_y):
    g = np.random.default_rng(5)
    first, second = codes(g, (2, 3, 4, 6)), codes(g, (2, 3, 6, 5))
    stored = [m.swapaxes(-1, -2) if turn else m for m, turn in ((first, adj_x), (second, adj_y))]
    ends = [tensor(n, m.shape, scale=0.02, zero_point=z) for n, m, z in zip("ab", stored, (1, -2), strict=True)]
    graph = single("batch_matmul", ends, tensor("y", (2, 3, 4, 5), scale=0.05), adj_x=adj_x, adj_y=adj_y)
    (got,) = hwsim.simulate(graph, [np.ascontiguousarray(m) for m in stored], engine).outputs
    step = float(np.float32(0.02))
    real = (step * step if engine in ("dyadic", "shift") else float(np.float32(step * step))) / float(np.float32(0.05))
    sums = np.matmul(first.astype(int) - 1, second.astype(int) + 2)
    expected = [min(max(ROUNDED[engine](int(v), real), -128), 127) for v in sums.flat]
    assert got.reshape(-1).tolist() == expected


def test_gelu_of_coarse_codes_is_refused():
    graph = single("gelu", [tensor("x", (1, 4))], tensor("y", (1, 4)))
    with pytest.raises(UnsupportedError, match=r"^gelu 'y': input scale is 0\.1; I-BERT's GELU needs at most 0\.00195"):
        hwsim.compile(graph, "ibert")


def test_layer_norm_names_what_does_not_fit():
    x, y = tensor("x", (1, 2)), tensor("y", (1, 2))
    cases = [
        (norm(x, y, [1.0, 0.0], BETA), UnsupportedError, r"gamma\[1\] is 0; I-BERT divides beta by it"),
        (norm(x, y, [1.0] * 3, [0.0] * 3), ShapeError, r"gamma is \[3\], input \[1, 2\]; expected its last axis"),
        (norm(x, y, GAMMA, BETA, shift=40), GraphError, r"shift is 40; must be in \[0, 31\]"),
    ]
    for graph, error, text in cases:
        with pytest.raises(error, match=rf"^layer_norm 'y': {text}"):
            hwsim.compile(graph, "ibert")
    with pytest.raises(UnsupportedError, match=r"cannot run it on int8>int8; it does not have this operator$"):
        hwsim.compile(norm(x, y, GAMMA, BETA), "litert-reference")
    floats = [tensor(n, (2,), "float32", None, data=v) for n, v in (("g", GAMMA), ("b", BETA))]
    with pytest.raises(GraphError, match=r"^layer_norm 'y': 'g' is float32; expected int32 with a scale$"):
        hwsim.compile(single("layer_norm", [x, *floats], y), "ibert")


@pytest.mark.parametrize("op", ["fully_connected", "conv2d", "add"])
def test_other_engines_make_no_fine_codes(op):
    x, y = tensor("x", (1, 1, 1, 2)), tensor("y", (1, 1, 1, 3), "int16")
    shape = (3, 1, 1, 2) if op == "conv2d" else (3, 2)
    weights = tensor("w", shape, data=np.ones(shape))
    inputs = [x, tensor("z", x.shape)] if op == "add" else [x, weights]
    y = tensor("y", x.shape, "int16") if op == "add" else tensor("y", (1, 3), "int16") if op == "fully_connected" else y
    window = {"padding": "valid", "stride_h": 1, "stride_w": 1} if op == "conv2d" else {}
    graph = single(op, inputs, y, activation="none", **window)
    for engine in ("litert-reference", "tflite-micro", "dyadic"):
        with pytest.raises(UnsupportedError, match=r"cannot run it on (int8,)?int8>int16"):
            hwsim.compile(graph, engine)
    hwsim.compile(graph, "ibert")
