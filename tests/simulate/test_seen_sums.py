"""The sums that inputs give, against plain Python integers."""

from itertools import accumulate, product

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.kernels.narrow import accumulate_saturating, accumulate_wrapping
from hwsim.simulate.accumulators import accumulators
from tests.build import codes, constant, single, tensor


def checked(graph, x, terms, bias, engine="litert-reference"):
    """`terms(sample, channel)` gives the products of every output of a channel, in the order of the weights."""
    (found,) = accumulators(graph, x, engine)
    (bound,) = accumulators(graph)
    for channel, offset in enumerate(bias):
        whole, partial = [], []
        for sample in x.astype(int).tolist():
            for products in terms(sample, channel):
                sums = list(accumulate(products, initial=offset))
                whole.append(sums[-1])
                partial += sums
        assert (found.total.lows[channel], found.total.highs[channel]) == (min(whole), max(whole))
        assert (found.running.lows[channel], found.running.highs[channel]) == (min(partial), max(partial))
    assert (bound.low, bound.high, bound.bits) == (found.low, found.high, found.bits)
    assert found.low <= found.running.low <= found.total.low
    assert found.total.high <= found.running.high <= found.high
    assert found.wrapping_bits <= found.seen_bits <= found.bits
    return found


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_fully_connected(dtype):
    generator, zero_point = np.random.default_rng(1), -7 if dtype == "int8" else 0
    weights, bias = codes(generator, (3, 10)), [-70, 900, 5]
    kind = "int32" if dtype == "int8" else "int64"
    inputs = [tensor("x", (2, 10), dtype, zero_point=zero_point), tensor("w", (3, 10), data=weights)]
    graph = single("fully_connected", [*inputs, constant("b", bias, kind)], tensor("y", (2, 3), dtype))
    x = codes(generator, (6, 10), dtype)
    found = checked(
        graph, x, lambda row, c: [[(v - zero_point) * int(w) for v, w in zip(row, weights[c], strict=True)]], bias
    )
    assert found.width == (32 if dtype == "int8" else 64)
    assert found.input_bits == np.dtype(dtype).itemsize * 8


def places(size, stride, dilation, taps, padding):
    """For every output place, the input places of its taps; what is outside stays out of range."""
    span = (taps - 1) * dilation + 1
    out = -(-size // stride) if padding == "same" else (size - span) // stride + 1
    before = max((out - 1) * stride + span - size, 0) // 2 if padding == "same" else 0
    return [[at * stride - before + k * dilation for k in range(taps)] for at in range(out)]


@pytest.mark.parametrize(
    ("groups", "stride", "dilation", "padding"),
    [
        (1, (1, 1), (1, 1), "same"),
        (2, (2, 1), (1, 1), "same"),
        (1, (1, 2), (2, 1), "valid"),
        (4, (1, 1), (1, 2), "same"),
    ],
)
def test_conv2d(groups, stride, dilation, padding):
    generator, size, kernel = np.random.default_rng(2), (6, 5), (3, 2)
    weights, bias = codes(generator, (4, *kernel, 4 // groups)), [3, -4000, 12345, 0]
    down, across = (places(size[a], stride[a], dilation[a], kernel[a], padding) for a in (0, 1))
    graph = single(
        "conv2d",
        [tensor("x", (1, *size, 4), zero_point=9), tensor("w", weights.shape, data=weights), constant("b", bias)],
        tensor("y", (1, len(down), len(across), 4)),
        padding=padding, stride_h=stride[0], stride_w=stride[1], dilation_h=dilation[0], dilation_w=dilation[1],
        activation="none",
    )  # fmt: skip

    def terms(image, c):
        first = c // (4 // groups) * (4 // groups)
        return [
            [
                (image[i][j][first + k] - 9) * int(weights[c, a, b, k])
                for (a, i), (b, j) in product(enumerate(rows), enumerate(columns))
                if 0 <= i < size[0] and 0 <= j < size[1]
                for k in range(4 // groups)
            ]
            for rows, columns in product(down, across)
        ]

    checked(graph, codes(generator, (3, *size, 4)), terms, bias)


def test_depthwise_conv2d_with_a_multiplier():
    generator = np.random.default_rng(3)
    weights, bias = codes(generator, (1, 2, 3, 4)), [3, -400, 77, -1]
    down, across = places(4, 1, 1, 2, "same"), places(5, 2, 1, 3, "same")
    graph = single(
        "depthwise_conv2d",
        [tensor("x", (1, 4, 5, 2), zero_point=-128), tensor("w", (1, 2, 3, 4), data=weights), constant("b", bias)],
        tensor("y", (1, 4, 3, 4)),
        padding="same", stride_h=1, stride_w=2, dilation_h=1, dilation_w=1, multiplier=2, activation="none",
    )  # fmt: skip

    def terms(image, c):
        return [
            [
                (image[i][j][c // 2] + 128) * int(weights[0, a, b, c])
                for (a, i), (b, j) in product(enumerate(rows), enumerate(columns))
                if 0 <= i < 4 and 0 <= j < 5
            ]
            for rows, columns in product(down, across)
        ]

    checked(graph, codes(generator, (2, 4, 5, 2)), terms, bias)


def test_transpose_conv():
    generator = np.random.default_rng(4)
    weights, bias = codes(generator, (2, 3, 2, 3)), [50, -60]
    inputs = [constant("shape", (1, 7, 4, 2)), tensor("w", weights.shape, data=weights),
              tensor("x", (1, 3, 2, 3), zero_point=4), constant("b", bias)]  # fmt: skip
    graph = single("transpose_conv", inputs, tensor("y", (1, 7, 4, 2)), padding="valid", stride_h=2, stride_w=2,
                   activation="none")  # fmt: skip

    def terms(image, c):
        return [
            [
                (image[(y - a) // 2][(x - b) // 2][k] - 4) * int(weights[c, a, b, k])
                for a, b in product(range(3), range(2))
                if (y - a) % 2 == (x - b) % 2 == 0 and 0 <= (y - a) // 2 < 3 and 0 <= (x - b) // 2 < 2
                for k in range(3)
            ]
            for y, x in product(range(7), range(4))
        ]

    checked(graph, codes(generator, (2, 3, 2, 3)), terms, bias)


@pytest.mark.parametrize(("adj_x", "adj_y"), [(False, False), (True, True)])
def test_batch_matmul_with_two_matrices(adj_x, adj_y):
    generator = np.random.default_rng(5)
    matrices, shape = codes(generator, (2, 3, 4)), (2, 3, 5) if adj_x else (2, 5, 3)
    stored = matrices.swapaxes(-1, -2) if adj_y else matrices
    ends = [tensor("x", shape, zero_point=3), tensor("w", stored.shape, data=stored, zero_point=-2)]
    graph = single("batch_matmul", ends, tensor("y", (2, 5, 4)), adj_x=adj_x, adj_y=adj_y,
                   asymmetric_quantize_inputs=False)  # fmt: skip

    def terms(sample, c):
        which, column = divmod(c, 4)
        first = np.array(sample)[which].T if adj_x else np.array(sample)[which]
        return [[(int(v) - 3) * (int(w) + 2) for v, w in zip(row, matrices[which, :, column], strict=True)]
                for row in first]  # fmt: skip

    x = codes(generator, (4, *shape[1:])).reshape(2, *shape)
    (found,) = accumulators(graph, x.reshape(4, *shape[1:]), "litert-reference")
    assert found.running.lows.shape == (8,)
    for channel in range(8):
        sums = [list(accumulate(t, initial=0)) for sample in x.tolist() for t in terms(sample, channel)]
        assert found.total.lows[channel] == min(s[-1] for s in sums)
        assert found.running.highs[channel] == max(max(s) for s in sums)


def test_narrow_accumulators_hold_what_was_seen_and_one_bit_less_does_not():
    """The widths against the datapaths: a sum that saturates needs the partial ones, one that wraps the whole ones."""
    generator = np.random.default_rng(6)
    weights, bias = codes(generator, (3, 40)), np.array([7, -8, 900], np.int32)
    graph = single(
        "fully_connected",
        [tensor("x", (1, 40)), tensor("w", (3, 40), data=weights), constant("b", bias)],
        tensor("y", (1, 3)),
    )
    x = codes(generator, (5, 40))
    (found,) = accumulators(graph, x, "litert-reference")
    exact = x.astype(np.int64) @ weights.astype(np.int64).T + bias
    for accumulate_, bits in ((accumulate_saturating, found.seen_bits), (accumulate_wrapping, found.wrapping_bits)):
        for width, equal in ((bits, True), (bits - 1, False)):
            out = np.empty((5, 3), np.int32)
            accumulate_(x.astype(np.int16), weights.astype(np.int16), bias, width, out)
            assert np.array_equal(out, exact) is equal


@pytest.mark.parametrize(("dtype", "zero_point", "raised"), [("uint8", 3, 0), ("int8", -5, 128)])
def test_pairs_of_products(dtype, zero_point, raised):
    generator = np.random.default_rng(7)
    weights = codes(generator, (2, 7))
    inputs = [tensor("x", (1, 7), dtype, zero_point=zero_point), tensor("w", (2, 7), data=weights), None]
    graph = single("fully_connected", inputs, tensor("y", (1, 2), dtype))
    x = codes(generator, (9, 7), dtype)
    (found,) = accumulators(graph, x, "fbgemm:no_vnni")
    for channel, row in enumerate(weights.tolist()):
        pairs = [row[k : k + 2] for k in range(0, 7, 2)]
        worst = [sum(255 * max(w, 0) for w in pair) for pair in pairs]
        assert found.pairs.highs[channel] == max(worst)
        assert found.pairs.lows[channel] == min(sum(255 * min(w, 0) for w in pair) for pair in pairs)
        seen = [
            sum((v + raised) * w for v, w in zip(sample[2 * k : 2 * k + 2], pair, strict=True))
            for sample in x.astype(int).tolist()
            for k, pair in enumerate(pairs)
        ]
        assert (found.pairs_seen.lows[channel], found.pairs_seen.highs[channel]) == (min([*seen, 0]), max([*seen, 0]))
    (exact,) = accumulators(graph, engine="fbgemm")
    assert exact.pairs is None


def test_engine_that_cannot_run_a_layer_leaves_its_bound():
    graph = single("fully_connected", [tensor("x", (1, 2)), tensor("w", (1, 2), data=[[1, 2]]), None],
                   tensor("y", (1, 1)))  # fmt: skip
    (found,) = accumulators(graph, engine="float")
    assert (found.width, found.bits) == (None, 10)
    with pytest.raises(InputError, match="engine is missing"):
        accumulators(graph, np.zeros((1, 2), np.int8))


def test_public_name():
    graph = single("fully_connected", [tensor("x", (1, 2)), tensor("w", (1, 2), data=[[1, 2]]), None],
                   tensor("y", (1, 1)))  # fmt: skip
    assert hwsim.accumulators(graph)[0].bits == 10
