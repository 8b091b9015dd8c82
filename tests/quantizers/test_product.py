from itertools import product

import numpy as np
import pytest

from hwsim.errors import InputError
from hwsim.quantizers.huffman import code_lengths, huffman_bits
from hwsim.quantizers.product import ProductCodebooks

WEIGHTS = np.random.default_rng(9).normal(0, 1, (40, 12))


def best_lengths(counts):
    """The fewest bits of any prefix code, by trying all word lengths that Kraft's inequality allows."""
    best = None
    for lengths in product(range(1, len(counts)), repeat=len(counts)):
        if sum(2.0**-n for n in lengths) <= 1:
            total = sum(n * c for n, c in zip(lengths, counts, strict=True))
            best = total if best is None else min(best, total)
    return best


@pytest.mark.parametrize("counts", [[5, 1, 1, 3], [1, 1, 1, 1], [100, 1, 1], [3, 3, 2, 1, 1], [1, 2, 4, 8, 16]])
def test_huffman_is_the_shortest_prefix_code(counts):
    lengths = code_lengths(np.array(counts))
    assert sum(2.0**-n for n in lengths.tolist()) == 1
    assert int((lengths * counts).sum()) == best_lengths(counts)


def test_huffman_of_one_symbol_takes_a_bit_each():
    assert code_lengths(np.array([0, 7, 0])).tolist() == [0, 1, 0]
    assert huffman_bits(np.full(7, 3), 2) == 7 + 8 * 4


def test_encode_takes_the_nearest_vectors():
    form = ProductCodebooks.fit(WEIGHTS, 3, length=4, stages=2)
    codes = form.encode(WEIGHTS)
    assert codes.shape == (2, 40, 3) and form.codebooks.shape == (2, 3, 8, 4)
    for row, part in np.ndindex(40, 3):
        left = WEIGHTS[row, 4 * part : 4 * part + 4]
        for stage in range(2):
            gaps = [float(((left - vector) ** 2).sum()) for vector in form.codebooks[stage, part]]
            assert codes[stage, row, part] == int(np.argmin(gaps))
            left = left - form.codebooks[stage, part, codes[stage, row, part]]
        np.testing.assert_allclose(
            form.decode(codes)[row, 4 * part : 4 * part + 4], WEIGHTS[row, 4 * part : 4 * part + 4] - left
        )


def test_residual_stages_lower_the_error():
    errors = []
    for stages in (1, 2, 3):
        form = ProductCodebooks.fit(WEIGHTS, 3, length=4, stages=stages)
        errors.append(float(((form.decode(form.encode(WEIGHTS)) - WEIGHTS) ** 2).sum()))
    assert errors[2] < errors[1] < errors[0]


def test_few_vectors_are_found_exactly():
    vectors = np.random.default_rng(1).normal(0, 1, (4, 3))
    rows = np.concatenate([vectors[[0, 1, 2, 3, 3, 1]], vectors[[1, 1, 0, 2, 3, 0]]], axis=1)
    form = ProductCodebooks.fit(rows, 2, length=3)
    np.testing.assert_allclose(form.decode(form.encode(rows)), rows, atol=1e-12)


def test_sizes():
    form = ProductCodebooks.fit(WEIGHTS, 3, length=4, stages=2)
    codes = form.encode(WEIGHTS)
    assert form.table_bytes == 4 * 2 * 3 * 8 * 4
    assert form.size_bytes(codes) == 240 * 3 // 8 + form.table_bytes
    bits = sum(huffman_bits(codes[s, :, p], 3) for s in range(2) for p in range(3))
    assert form.huffman_bytes(codes) == -(-bits // 8) + form.table_bytes


def test_seed_decides():
    first, again, other = (ProductCodebooks.fit(WEIGHTS, 3, length=4, seed=s).codebooks for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_impossible_requests_are_refused():
    with pytest.raises(InputError, match=r"^values are \[40, 12\]; expected rows of a multiple of 5 columns$"):
        ProductCodebooks.fit(WEIGHTS, 3, length=5)
    with pytest.raises(InputError, match=r"^bits is 9, stages 1; expected 1 to 8 bits and at least 1 stage$"):
        ProductCodebooks.fit(WEIGHTS, 9, length=4)
