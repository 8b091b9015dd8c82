"""Datapaths that look up instead of multiplying, against plain Python integers."""

from itertools import product

import numpy as np
import pytest

from hwsim.kernels.bit_serial import bit_serial, plane_codes, subset_sums
from hwsim.kernels.codebook import accumulate_by_index, vector_tables
from hwsim.kernels.matmul import accumulate
from hwsim.kernels.partial_sums import sum_rows
from hwsim.kernels.product_table import decode, product_lookup, product_rows
from hwsim.kernels.shift_add import shift_add
from hwsim.quantizers.companding import Companding
from hwsim.quantizers.powers import additive_powers_of_two, powers_of_two, terms_of

SIZES = [(1, 1, 1), (3, 5, 2), (66, 9, 3)]


def dots(rows, weights):
    """Plain integer products, out[p][c]."""
    return [[sum(int(a) * int(b) for a, b in zip(r, w, strict=True)) for w in weights] for r in rows]


def drawn(low, high, shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).integers(low, high, shape).astype(dtype)


def by_lookup(rows, weights, table):
    out = np.empty((len(rows), len(weights)), np.int32)
    product_lookup(rows, weights, table.astype(np.int32), out)
    return out


def by_rows(rows, weights, table, dtype):
    tables = np.empty((rows.shape[1], table.shape[1], len(weights)), dtype)
    product_rows(weights, table, tables)
    out = np.empty((len(rows), len(weights)), np.int32)
    sum_rows(tables, rows, out)
    return out


def by_decoding(rows, weights, activation_levels, weight_levels):
    decoded = [np.empty(codes.shape, np.int16) for codes in (rows, weights)]
    decode(rows, activation_levels.astype(np.int16), decoded[0])
    decode(weights, weight_levels.astype(np.int16), decoded[1])
    out = np.empty((len(rows), len(weights)), np.int32)
    accumulate(*decoded, np.zeros(len(weights), np.int32), out)
    return out


@pytest.mark.parametrize(("pixels", "depth", "channels"), SIZES)
@pytest.mark.parametrize(("weight_bits", "activation_bits"), [(2, 2), (2, 4), (3, 3), (4, 2), (4, 4)])
def test_product_table_is_decode_then_multiply(weight_bits, activation_bits, pixels, depth, channels):
    g = np.random.default_rng([weight_bits, activation_bits])
    weight_levels = Companding.fit(g.normal(0, 1, 500), weight_bits).levels().requantized(8).table[0]
    activation_levels = (
        Companding.fit(abs(g.normal(0, 1, 500)), activation_bits, signed=False).levels().requantized(8).table[0]
    )
    rows = drawn(0, len(activation_levels), (pixels, depth), np.uint8, 1)
    weights = drawn(0, len(weight_levels), (channels, depth), np.uint8, 2)
    table = np.outer(weight_levels, activation_levels)
    exact = dots(
        [[int(activation_levels[c]) for c in r] for r in rows], [[int(weight_levels[c]) for c in w] for w in weights]
    )
    np.testing.assert_array_equal(by_lookup(rows, weights, table), exact)
    np.testing.assert_array_equal(by_rows(rows, weights, table, np.int16), exact)
    np.testing.assert_array_equal(by_rows(rows, weights, table, np.int32), exact)
    np.testing.assert_array_equal(by_decoding(rows, weights, activation_levels, weight_levels), exact)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_every_pair_of_codes(bits):
    codes = np.arange(1 << bits, dtype=np.uint8)[:, None]
    table = drawn(-(2**14), 2**14, (1 << bits, 1 << bits), np.int32)
    np.testing.assert_array_equal(by_lookup(codes, codes, table), table.T)
    np.testing.assert_array_equal(by_rows(codes, codes, table, np.int16), table.T)


def test_table_of_any_numbers():
    """A table need not be of products, as in approximate multipliers."""
    table, rows, weights = (
        drawn(-9, 9, (4, 16), np.int32),
        drawn(0, 16, (70, 11), np.uint8),
        drawn(0, 4, (5, 11), np.uint8),
    )
    exact = [[sum(int(table[w, a]) for a, w in zip(r, taps, strict=True)) for taps in weights] for r in rows]
    np.testing.assert_array_equal(by_lookup(rows, weights, table), exact)
    np.testing.assert_array_equal(by_rows(rows, weights, table, np.int32), exact)


@pytest.mark.parametrize(("pixels", "depth", "channels"), SIZES)
@pytest.mark.parametrize("bits", [2, 3, 4])
def test_accumulate_by_index_is_the_product_with_the_centers(bits, pixels, depth, channels):
    rows, codes = drawn(-255, 256, (pixels, depth), np.int16), drawn(0, 1 << bits, (channels, depth), np.uint8)
    centers = drawn(-128, 128, (1 << bits,), np.int32)
    out = np.empty((pixels, channels), np.int32)
    accumulate_by_index(rows, codes, centers, out)
    np.testing.assert_array_equal(out, dots(rows, [[int(centers[c]) for c in w] for w in codes]))


@pytest.mark.parametrize("make", [powers_of_two, additive_powers_of_two])
@pytest.mark.parametrize("bits", [2, 3, 4, 5])
@pytest.mark.parametrize(("pixels", "depth", "channels"), SIZES)
def test_shift_add_is_the_integer_product(make, bits, pixels, depth, channels):
    table = make(np.random.default_rng(0).normal(0, 1, 99), bits).table[0]
    rows, codes = drawn(-128, 128, (pixels, depth), np.int16), drawn(0, len(table), (channels, depth), np.uint8)
    out = np.empty((pixels, channels), np.int32)
    shift_add(rows, codes, terms_of(table), out)
    np.testing.assert_array_equal(out, dots(rows, [[int(table[c]) for c in w] for w in codes]))


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_shift_add_of_every_activation_and_level(bits):
    table = additive_powers_of_two(np.linspace(-1, 1, 50), bits).table[0]
    rows, codes = np.arange(-128, 128, dtype=np.int16)[:, None], np.arange(len(table), dtype=np.uint8)[:, None]
    out = np.empty((256, len(table)), np.int32)
    shift_add(rows, codes, terms_of(table), out)
    np.testing.assert_array_equal(out, np.arange(-128, 128)[:, None] * table)


@pytest.mark.parametrize(("pixels", "depth", "channels"), [(1, 1, 1), (3, 4, 2), (67, 10, 3)])
@pytest.mark.parametrize(("bits", "signed"), [(b, s) for b in (1, 2, 3, 4, 8) for s in (False, True)])
def test_bit_serial_is_the_integer_product(bits, signed, pixels, depth, channels):
    low = -(1 << (bits - 1)) if signed else 0
    rows, weights = (
        drawn(-255, 256, (pixels, depth), np.int16),
        drawn(low, low + (1 << bits), (channels, depth), np.int16),
    )
    groups = -(-depth // 4)
    codes, tables = np.empty((bits, channels, groups), np.uint8), np.empty((groups, 16, pixels), np.int32)
    plane_codes(weights, bits, codes)
    subset_sums(rows, tables)
    out = np.empty((channels, pixels), np.int32)
    bit_serial(tables, codes, signed, out)
    np.testing.assert_array_equal(out.T, dots(rows, weights))


def test_subset_sums_are_all_subsets():
    rows = np.array([[1, -20, 300, 4000]], np.int16)
    out = np.empty((1, 16, 1), np.int32)
    subset_sums(rows, out)
    for bits in product((0, 1), repeat=4):
        pattern = sum(bit << i for i, bit in enumerate(bits))
        assert out[0, pattern, 0] == sum(int(v) for v, bit in zip(rows[0], bits, strict=True) if bit)


@pytest.mark.parametrize("stages", [1, 2])
def test_vector_tables_are_the_product_with_the_codebooks_vectors(stages):
    parts, length, entries, channels = 5, 3, 8, 4
    rows, out = drawn(-128, 128, (70, parts * length), np.int16), np.zeros((channels, 70), np.int32)
    weights = np.zeros((channels, parts * length), int)
    for stage in range(stages):
        book = drawn(-100, 100, (parts, entries, length), np.int16, stage)
        codes = drawn(0, entries, (channels, parts), np.uint8, stage)
        tables, sums = np.empty((parts, entries, 70), np.int32), np.empty((channels, 70), np.int32)
        vector_tables(rows, book, tables)
        sum_rows(tables, codes, sums)
        out += sums
        weights += np.array([[v for part, code in enumerate(row) for v in book[part, code]] for row in codes.tolist()])
    np.testing.assert_array_equal(out.T, dots(rows, weights))
