"""Time the datapaths of the number formats beside the int8 kernels, in one run and on one thread.

    python scripts/datapaths.py

A row is a matrix product (pixels, depth) x (depth, channels), for each datapath the best of many calls: billions of
weights per second, and how many times that is faster (above 1) or slower than the portable int8 kernel. What an engine
does to the activations before (decoding, packing bits, building tables) is in the time; what it does to weights once,
when a network is compiled, is not.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from hwsim.engines import engine
from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.kernels.binary import pack_bits, xnor_popcount
from hwsim.kernels.bit_serial import bit_serial, plane_codes, subset_sums
from hwsim.kernels.codebook import accumulate_by_index, vector_tables
from hwsim.kernels.matmul import accumulate
from hwsim.kernels.partial_sums import sum_rows
from hwsim.kernels.product_table import decode, product_lookup, product_rows
from hwsim.kernels.shift_add import shift_add
from hwsim.kernels.ternary import pack_signs, ternary_popcount
from hwsim.quantizers.powers import additive_powers_of_two, terms_of
from hwsim.reports.markdown import table
from hwsim.simulate import compile
from hwsim.simulate.program import Session

SHAPES = [(1024, 144, 16), (256, 288, 32), (64, 576, 64), (256, 1152, 128)]
SECONDS = 0.15
Array = np.ndarray[Any, Any]


def best(call: Callable[[], object]) -> float:
    """Seconds of the fastest call, over `SECONDS` after a first one that compiles."""
    call()
    fastest, end = 9.0, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest


class Case:
    """One matrix product under every datapath."""

    def __init__(self, pixels: int, depth: int, channels: int) -> None:
        self.shape = pixels, depth, channels
        self.g = np.random.default_rng(0)
        self.rows = self.g.integers(-128, 128, (pixels, depth)).astype(np.int16)
        self.weights = self.g.integers(-128, 128, (channels, depth)).astype(np.int16)
        self.bias = np.zeros(channels, np.int32)
        self.out = np.empty((pixels, channels), np.int32)

    def codes(self, count: int, bits: int) -> Array:
        """Random codes of `bits` bits for `count` rows."""
        return self.g.integers(0, 1 << bits, (count, self.shape[1])).astype(np.uint8)

    def paths(self) -> dict[str, Callable[[], object]]:
        """What to time, by name."""
        calls = {
            "int8 portable": lambda: accumulate(self.rows, self.weights, self.bias, self.out),
            "int8 vectors": self.vectors(),
        }
        for bits in (2, 3, 4):
            calls[f"product table, a look-up each, {bits} bits"] = self.lookup(bits)
            calls[f"product table, rows of sums, {bits} bits"] = self.row_sums(bits)
            calls[f"product table, decode then multiply, {bits} bits"] = self.decoded(bits)
            calls[f"codebook, by index, {bits} bits"] = self.codebook(bits)
            calls[f"APoT, shift-add, {bits} bits"] = self.shifts(bits)
            calls[f"bit-serial, {bits} bits"] = self.serial(bits)
        calls["product codebook, 4 bits for 4 weights"] = self.products()
        calls["ternary planes"] = self.ternary()
        calls["XNOR-popcount"] = self.binary()
        return calls

    def vectors(self) -> Callable[[], object]:
        """The int8 vector kernels, output stage included."""
        pixels, depth, channels = self.shape
        form = Affine.per_tensor(0.05)
        tensors = (
            Tensor("x", (pixels, depth), "int8", form),
            Tensor("w", (channels, depth), "int8", form, self.weights.astype(np.int8)),
            Tensor("y", (pixels, channels), "int8", Affine.per_tensor(5.0)),
        )
        node = Node("fully_connected", "y", (0, 1, -1), (2,), {"activation": "none"})
        graph = Graph("one layer", tensors, (node,), (0,), (2,))
        session = Session(graph, compile(graph, engine("xnnpack")).nodes, 1, False)
        session.values[0][...] = self.rows[None]
        return session.steps[0]

    def lookup(self, bits: int) -> Callable[[], object]:
        """A look-up for every product."""
        pixels, _, channels = self.shape
        rows, weights = self.codes(pixels, bits), self.codes(channels, bits)
        products = self.g.integers(-99, 99, (1 << bits, 1 << bits)).astype(np.int32)
        return lambda: product_lookup(rows, weights, products, self.out)

    def row_sums(self, bits: int) -> Callable[[], object]:
        """Rows of products, made with the weights, chosen by activations."""
        pixels, depth, channels = self.shape
        rows, weights = self.codes(pixels, bits), self.codes(channels, bits)
        tables = np.empty((depth, 1 << bits, channels), np.int16)
        product_rows(weights, self.g.integers(-99, 99, (1 << bits, 1 << bits)), tables)
        return lambda: sum_rows(tables, rows, self.out)

    def decoded(self, bits: int) -> Callable[[], object]:
        """Levels decoded, then multiplied."""
        rows, levels = self.codes(self.shape[0], bits), self.g.integers(-127, 128, 1 << bits).astype(np.int16)
        values = np.empty(rows.shape, np.int16)

        def call() -> None:
            decode(rows, levels, values)
            accumulate(values, self.weights, self.bias, self.out)

        return call

    def codebook(self, bits: int) -> Callable[[], object]:
        """Activations added up by index."""
        codes, centers = self.codes(self.shape[2], bits), self.g.integers(-127, 128, 1 << bits).astype(np.int32)
        return lambda: accumulate_by_index(self.rows, codes, centers, self.out)

    def shifts(self, bits: int) -> Callable[[], object]:
        """Sums of powers of two."""
        levels = additive_powers_of_two(self.g.normal(0, 1, 999), bits).table[0]
        codes, terms = self.codes(self.shape[2], bits) % len(levels), terms_of(levels)
        return lambda: shift_add(self.rows, codes.astype(np.uint8), terms, self.out)

    def serial(self, bits: int) -> Callable[[], object]:
        """Planes of bits, groups of four activations."""
        pixels, depth, channels = self.shape
        weights = self.codes(channels, bits).astype(np.int16)
        codes, tables = np.empty((bits, channels, depth // 4), np.uint8), np.empty((depth // 4, 16, pixels), np.int32)
        plane_codes(weights, bits, codes)
        out = np.empty((channels, pixels), np.int32)

        def call() -> None:
            subset_sums(self.rows, tables)
            bit_serial(tables, codes, False, out)

        return call

    def products(self) -> Callable[[], object]:
        """Vectors of four weights out of 16."""
        pixels, depth, channels = self.shape
        book = self.g.integers(-127, 128, (depth // 4, 16, 4)).astype(np.int16)
        codes = self.g.integers(0, 16, (channels, depth // 4)).astype(np.uint8)
        tables, out = np.empty((depth // 4, 16, pixels), np.int32), np.empty((channels, pixels), np.int32)

        def call() -> None:
            vector_tables(self.rows, book, tables)
            sum_rows(tables, codes, out)

        return call

    def binary(self) -> Callable[[], object]:
        """Signs."""
        pixels, depth, channels = self.shape
        words = -(-depth // 64)
        values, taps = (self.g.integers(0, 2, (n, 64 * words)).astype(np.uint8) for n in (pixels, channels))
        rows, packed = np.empty((pixels, words), np.uint64), np.empty((channels, words), np.uint64)
        pack_bits(taps, packed)
        weights = np.ascontiguousarray(packed.T)

        def call() -> None:
            pack_bits(values, rows)
            xnor_popcount(rows, weights, depth, self.out)

        return call

    def ternary(self) -> Callable[[], object]:
        """Signs and zeros."""
        pixels, depth, channels = self.shape
        words = -(-depth // 64)
        values, taps = (self.g.integers(-1, 2, (n, depth)).astype(np.int8) for n in (pixels, channels))
        planes = [np.empty((n, words), np.uint64) for n in (pixels, pixels, channels, channels)]
        pack_signs(taps, planes[2], planes[3])

        def call() -> None:
            pack_signs(values, planes[0], planes[1])
            ternary_popcount(*planes, self.out)

        return call


def main() -> None:
    """Print the table."""
    columns: dict[str, list[str]] = {}
    for shape in SHAPES:
        seconds = {name: best(call) for name, call in Case(*shape).paths().items()}
        macs = shape[0] * shape[1] * shape[2]
        for name, taken in seconds.items():
            ratio = seconds["int8 portable"] / taken
            columns.setdefault(name, []).append(f"{macs / taken / 1e9:.1f} G, {ratio:.2f} x")
    print(
        table(["datapath", *(" x ".join(map(str, shape)) for shape in SHAPES)], [[k, *v] for k, v in columns.items()])
    )


if __name__ == "__main__":
    main()
