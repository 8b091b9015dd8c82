"""Layers between tables, against exact fractions over plain Python lists."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import hwsim
from hwsim.errors import UnsupportedError
from hwsim.graph import Affine, Graph, Levels, Node, Tensor
from hwsim.graph.probes import probe_inputs
from hwsim.kernels import vector_tile
from hwsim.ops._fixed import VectorLayers
from hwsim.quantizers.binary import binary, ternary
from hwsim.quantizers.codebook import codebook
from hwsim.quantizers.companding import Companding
from hwsim.quantizers.granularity import per_channel
from hwsim.quantizers.powers import additive_powers_of_two
from hwsim.simulate.accumulators import accumulators
from hwsim.simulate.program import Session

RANDOM = np.random.default_rng(11)
REAL = RANDOM.normal(0, 0.3, (5, 3, 3, 4))
CONV = dict(padding="same", stride_h=1, stride_w=2, dilation_h=1, dilation_w=1, activation="relu")  # noqa: C408
WEIGHTS = {
    "lcq": Companding.fit(REAL, 4).levels().requantized(8),
    "codebook by channel": codebook(REAL, 2, granularity=per_channel(0)).requantized(8),
    "apot": additive_powers_of_two(REAL, 4, granularity=per_channel(0)),
    "binary": binary(REAL, granularity=per_channel(0)),
    "ternary": ternary(REAL),
}


def lcq(bits: int, alpha: float) -> Levels:
    """Levels of activations as LCQ has them: companded, unsigned, 8 bits outside."""
    theta = np.random.default_rng(bits).normal(0, 1, 16).tolist()
    return Levels.of(Companding.from_theta(bits, alpha, theta, signed=False).levels().requantized(8))


def layer(weights: str, source: Affine | Levels, out: Affine | Levels, **options) -> Graph:
    form = WEIGHTS[weights]
    codes = form.encode(REAL).astype(np.uint8)
    kinds = ["uint8" if isinstance(f, Levels) else "int8" for f in (source, out)]
    tensors = (
        Tensor("x", (1, 6, 7, 4), kinds[0], source),
        Tensor("w", codes.shape, "uint8", replace(Levels.of(form), thresholds=None), codes),
        Tensor("b", (5,), "int32", None, RANDOM.integers(-900, 900, 5).astype(np.int32)),
        Tensor("y", (1, 6, 4, 5), kinds[1], out),
    )
    return Graph("g", tensors, (Node("conv2d", "conv", (0, 1, 2), (3,), {**CONV, **options}),), (0,), (3,))


def sums(graph: Graph, image: list) -> np.ndarray:
    """The layer's sums of one image in Python integers: same padding, strides 1 and 2, over 6 by 7."""
    form, weights = graph.tensors[1].format, graph.tensors[1].data.tolist()
    tables = form.table.tolist()
    result = np.empty((6, 4, 5), object)
    for y in range(6):
        for x in range(4):
            for channel in range(5):
                levels = tables[channel if form.axis is not None else 0]
                total = int(graph.tensors[2].data[channel])
                for ky in range(3):
                    for kx in range(3):
                        row, column = y + ky - 1, 2 * x + kx - 1
                        if 0 <= row < 6 and 0 <= column < 7:
                            for c in range(4):
                                total += levels[weights[channel][ky][kx][c]] * image[row][column][c]
                result[y, x, channel] = total
    return result


def values(graph: Graph, codes: np.ndarray) -> list:
    """What a layer multiplies for its input codes."""
    form = graph.tensors[0].format
    if isinstance(form, Levels):
        levels = form.table[0].tolist()
        return [[[levels[c] for c in column] for column in row] for row in codes.tolist()]
    return (codes.astype(int) - int(form.zero_point[0])).tolist()


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("bits", [2, 3, 4])
@pytest.mark.parametrize("source", ["levels", "codes"])
def test_codes_by_thresholds_are_those_of_exact_fractions(weights, bits, source):
    """The code is the number of thresholds that the exact real value of the sum reaches."""
    form = lcq(bits, 2.0) if source == "levels" else Affine.per_tensor(0.02, -7)
    graph = layer(weights, form, lcq(bits, 1.5))
    (x,) = probe_inputs(graph, 3)
    (got,) = hwsim.simulate(graph, x, "dyadic").outputs
    assert len(np.unique(got)) > 2
    edges = [Fraction(edge) for edge in graph.tensors[3].format.thresholds[0].tolist()]
    scales = [Fraction(float(s)) for s in graph.tensors[1].format.scale]
    for image, codes in zip(x, got, strict=True):
        for place, total in np.ndenumerate(sums(graph, values(graph, image))):
            real = total * Fraction(float(form.scale[0])) * scales[place[2] % len(scales)]
            assert codes[place] == sum(real >= edge for edge in edges)


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("out", ["levels", "codes"])
def test_layers_between_tables_run_by_vector_kernels(weights, out):
    """The look-up and the layer are one call without Python; signs are counted where the weights are signs."""
    if vector_tile.LANES == 0:
        pytest.skip("needs compiled kernels on a machine with vector instructions")
    signs = Levels(np.array([[-1, 1]], np.int32), np.ones(1, np.float32), 1, None, np.zeros((1, 1)))
    for source, kind in ((lcq(3, 2.0), "conv2d"), (signs, "binary_conv2d" if weights == "binary" else "conv2d")):
        graph = layer(weights, source, lcq(3, 1.5) if out == "levels" else Affine.per_tensor(0.03))
        (step,) = Session(graph, hwsim.compile(graph, "dyadic").nodes, 1, False).steps
        assert isinstance(step, VectorLayers)
        assert step.kinds == ([kind] if kind != "conv2d" else ["lookup", kind])


def test_layers_of_signs_are_those_of_exact_fractions():
    """Weights and activations of -1 and 1, padding of 0, and codes -1 and 1 by the sign of the sum."""
    signs = Levels(np.array([[-1, 1]], np.int32), np.ones(1, np.float32), 1, None, np.zeros((1, 1)))
    graph = layer("binary", signs, signs, activation="none")
    (x,) = probe_inputs(graph, 6)
    (got,) = hwsim.simulate(graph, x, "dyadic").outputs
    assert len(np.unique(got)) == 2
    for image, codes in zip(x, got, strict=True):
        assert codes.tolist() == (sums(graph, values(graph, image)) >= 0).astype(int).tolist()


def test_a_threshold_that_every_sum_reaches():
    """One below all of int32: the first code is never chosen, though the smallest sum is as small as int32 goes."""
    out = Levels(np.array([[0, 1]], np.int32), np.ones(1, np.float32), 1, None, np.array([[-(2.0**40)]]))
    weights = Levels(np.array([[0, 1]], np.int32), np.ones(1, np.float32), 1)
    tensors = (
        Tensor("x", (1, 1), "int8", Affine.per_tensor(1.0)),
        Tensor("w", (1, 1), "uint8", weights, np.zeros((1, 1), np.uint8)),
        Tensor("b", (1,), "int32", None, np.array([-(2**31)], np.int32)),
        Tensor("y", (1, 1), "uint8", out),
    )
    graph = Graph("g", tensors, (Node("fully_connected", "fc", (0, 1, 2), (3,), {}),), (0,), (3,))
    assert hwsim.simulate(graph, np.zeros((1, 1), np.int8), "dyadic").outputs[0].tolist() == [[1]]


def test_a_sum_on_a_threshold_belongs_to_the_upper_code():
    """Scales 1, thresholds 0.5, 3 and 7: sums of 3 are code 2, of 2 code 1."""
    identity = Levels(np.arange(16, dtype=np.int32)[None], np.ones(1, np.float32), 4)
    out = Levels(np.array([[0, 1, 4, 9]], np.int32), np.ones(1, np.float32), 2, None, np.array([[0.5, 3.0, 7.0]]))
    weights = replace(identity, table=np.array([[-1, 1]], np.int32), bits=1)
    tensors = (
        Tensor("x", (9, 1), "uint8", identity),
        Tensor("w", (1, 1), "uint8", weights, np.ones((1, 1), np.uint8)),
        Tensor("y", (9, 1), "uint8", out),
    )
    graph = Graph("g", tensors, (Node("fully_connected", "fc", (0, 1, -1), (2,), {}),), (0,), (2,))
    (got,) = hwsim.simulate(graph, np.arange(9, dtype=np.uint8)[:, None], "dyadic").outputs
    assert got.ravel().tolist() == [0, 1, 1, 2, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_levels_in_and_a_scale_out_multiply_as_the_levels_themselves(weights):
    """The same layer with levels written out as plain uint8 codes: no integer differs."""
    form, out = lcq(4, 2.0), Affine.per_tensor(0.03, -20)
    graph = layer(weights, form, out)
    (x,) = probe_inputs(graph, 5)
    plain = replace(graph.tensors[0], format=Affine(form.scale, np.zeros(1, np.int64)))
    same = replace(graph, tensors=(plain, *graph.tensors[1:]))
    levels = form.table[0].astype(np.uint8)[x]
    a, b = (hwsim.simulate(g, v, "dyadic").outputs[0] for g, v in ((graph, x), (same, levels)))
    np.testing.assert_array_equal(a, b)
    assert len(np.unique(a)) > 5


def test_pooling_and_moves_take_codes_as_they_are():
    form = lcq(3, 1.0)
    options = {"padding": "valid", "stride_h": 2, "stride_w": 2, "filter_h": 2, "filter_w": 2, "activation": "none"}
    tensors = (
        Tensor("x", (1, 4, 4, 2), "uint8", form),
        Tensor("p", (1, 2, 2, 2), "uint8", form),
        Tensor("y", (1, 8), "uint8", form),
    )
    nodes = (
        Node("max_pool_2d", "pool", (0,), (1,), options),
        Node("reshape", "flat", (1,), (2,), {"new_shape": (1, 8)}),
    )
    graph = Graph("g", tensors, nodes, (0,), (2,))
    (x,) = probe_inputs(graph, 9)
    assert x.max() == 7
    (got,) = hwsim.simulate(graph, x, "dyadic").outputs
    np.testing.assert_array_equal(got, x.reshape(-1, 2, 2, 2, 2, 2).max(axis=(2, 4)).reshape(-1, 8))


def test_accumulators_count_levels():
    """A layer of 4-bit codes whose levels are up to 255 needs more than codes up to 15 would."""
    graph = layer("ternary", lcq(4, 1.0), lcq(4, 1.0))
    (found,) = accumulators(graph)
    kept = (WEIGHTS["ternary"].encode(REAL) - 1).reshape(5, -1)
    bias = graph.tensors[2].data
    assert found.high == max(255 * int((kept[c] == 1).sum()) + max(int(bias[c]), 0) for c in range(5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": Levels.of(Companding.fit(abs(REAL), 3, signed=False).levels())},
         r"re-quantize them to an outer bit-width of 8$"),
        ({"out": replace(lcq(3, 1.0), thresholds=None)}, r"without one row of thresholds; a layer needs them"),
        ({"out": lcq(3, 7.0), "activation": "relu6"}, r"its activation 'relu6' cuts off levels of 'y'; choose levels"),
        ({"out": Levels.of(Companding.fit(REAL, 3).levels())}, r"its activation 'relu' cuts off levels of 'y'"),
    ],
)  # fmt: skip
def test_what_no_integers_can_do_is_refused_with_the_remedy(change, message):
    given = {"source": lcq(3, 1.0), "out": lcq(3, 1.0), **change}
    with pytest.raises(UnsupportedError, match=message):
        hwsim.compile(layer("lcq", **given), "dyadic")


def test_operators_that_compute_on_values_refuse_tables():
    tensors = tuple(Tensor(name, (1, 4), "uint8", lcq(3, 1.0)) for name in "aby")
    graph = Graph("g", tensors, (Node("add", "sum", (0, 1), (2,), {}),), (0, 1), (2,))
    with pytest.raises(UnsupportedError, match=r"^add 'sum': 'a' is behind a table, whose levels only layers with wei"):
        hwsim.compile(graph, "dyadic")
    other = replace(graph, nodes=(Node("maximum", "max", (0, 1), (2,), {}),), tensors=(
        *tensors[:2], replace(tensors[2], format=lcq(4, 1.0))))  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"^maximum 'max': moves codes of .*, and 'y' is of another kind"):
        hwsim.compile(other, "dyadic")
