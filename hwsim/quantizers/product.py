"""Product quantization: codes for short vectors of weights, with codebooks for what is left over.

A matrix (rows, columns) is cut into parts of `length` columns; each part has a codebook of its own, 2^bits vectors
found by k-means over the rows; further stages do the same to what remains. The sum of the stages' vectors is the
weight.

Sources: Jegou et al., Product Quantization for Nearest Neighbor Search, 2011; Gong et al., Compressing Deep
Convolutional Networks using Vector Quantization (arXiv 1412.6115), which adds the residual stages.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwsim.errors import InputError
from hwsim.quantizers.huffman import huffman_bits
from hwsim.quantizers.packing import packed_bytes

Reals = NDArray[np.float64]
Codes = NDArray[np.int64]
STEPS = 50


@dataclass(frozen=True, slots=True, eq=False)
class ProductCodebooks:
    """Fitted codebooks.

    Parameters
    ----------
    bits : of a code
    codebooks : float64 (stages, parts, 2^bits, length)
    """

    bits: int
    codebooks: Reals

    @classmethod
    def fit(cls, values: NDArray[Any], bits: int, *, length: int, stages: int = 1, seed: int = 0) -> "ProductCodebooks":
        """Codebooks of a matrix; the same `seed` draws the same first centers.

        values : (rows, columns), columns a multiple of `length`; bits : 1 to 8
        """
        if values.ndim != 2 or length < 1 or values.shape[1] % length or not values.size:
            raise InputError(f"values are {list(values.shape)}; expected rows of a multiple of {length} columns")
        if not 1 <= bits <= 8 or stages < 1:
            raise InputError(f"bits is {bits}, stages {stages}; expected 1 to 8 bits and at least 1 stage")
        generator = np.random.default_rng(seed)
        left, books = _parts(values, length), []
        for _ in range(stages):
            book = np.stack([kmeans(left[:, part], 2**bits, generator) for part in range(left.shape[1])])
            left = left - _chosen(book, _nearest(left, book))
            books.append(book)
        return cls(bits, np.stack(books))

    @property
    def levels(self) -> Reals:
        """The codebooks: (stages, parts, 2^bits, length)."""
        return self.codebooks

    @property
    def table_bytes(self) -> int:
        """Bytes of the codebooks as float32."""
        return 4 * self.codebooks.size

    def encode(self, values: NDArray[Any]) -> Codes:
        """Codes (stages, rows, parts) of a matrix (rows, columns): nearest vectors, the first of equals."""
        left, codes = _parts(values, self.codebooks.shape[3]), []
        for book in self.codebooks:
            codes.append(_nearest(left, book))
            left = left - _chosen(book, codes[-1])
        return np.stack(codes)

    def decode(self, codes: NDArray[Any]) -> Reals:
        """The matrix that `codes` stand for."""
        total = sum(_chosen(book, stage) for book, stage in zip(self.codebooks, codes, strict=True))
        return np.asarray(total).reshape(codes.shape[1], -1)

    def size_bytes(self, codes: NDArray[Any]) -> int:
        """Bytes of the codes, packed, and of the codebooks."""
        return packed_bytes(codes.size, self.bits) + self.table_bytes

    def huffman_bytes(self, codes: NDArray[Any]) -> int:
        """As `size_bytes` with the codes of each stage and part under a Huffman code of their own."""
        tables = codes.transpose(0, 2, 1).reshape(-1, codes.shape[1])
        return -(-sum(huffman_bits(column, self.bits) for column in tables) // 8) + self.table_bytes


def kmeans(points: Reals, count: int, generator: np.random.Generator) -> Reals:
    """`count` centers of points (n, length), by Lloyd's steps from k-means++ seeds; an empty center stays."""
    centers = points[[int(generator.integers(len(points)))]]
    nearest = ((points - centers[0]) ** 2).sum(axis=1)
    while len(centers) < count:
        total = nearest.sum()
        choice = int(generator.choice(len(points), p=nearest / total)) if total > 0 else 0
        centers = np.concatenate([centers, points[[choice]]])
        nearest = np.minimum(nearest, ((points - centers[-1]) ** 2).sum(axis=1))
    for _ in range(STEPS):
        codes = _nearest(points[:, None], centers[None])[:, 0]
        members = np.bincount(codes, minlength=count)
        sums = np.stack([np.bincount(codes, column, count) for column in points.T], axis=1)
        moved = np.where(members[:, None] > 0, sums / np.maximum(members, 1)[:, None], centers)
        if np.array_equal(moved, centers):
            break
        centers = moved
    return centers


def _parts(values: NDArray[Any], length: int) -> Reals:
    matrix = np.ascontiguousarray(values, np.float64)
    return matrix.reshape(matrix.shape[0], -1, length)


def _nearest(parts: Reals, book: Reals) -> Codes:
    """The nearest vector of each part's codebook; parts (rows, parts, length), book (parts, count, length)."""
    codes = np.empty(parts.shape[:2], np.int64)
    for part in range(parts.shape[1]):
        gaps = parts[:, part, None] - book[part]
        codes[:, part] = (gaps * gaps).sum(axis=2).argmin(axis=1)
    return codes


def _chosen(book: Reals, codes: NDArray[Any]) -> Reals:
    chosen: Reals = book[np.arange(book.shape[0]), codes]
    return chosen
