"""Write docs/datapaths.md: the datapaths of the number formats beside the int8 vector kernels, on one thread.

    python scripts/datapaths.py [--seconds 0.3]

All calls of a shape are timed in turn, in random order, and the fastest of each counts: a slower spell of the machine
meets all alike. What happens to activations (tables looked up, bits packed, sums of subsets) is in the time; what
happens to weights once, when a network is compiled, is not. Equality is the tests' matter, not this script's.
"""

import argparse
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from hwsim.engines import engine  # noqa: E402
from hwsim.graph import Affine, Graph, Levels, Node, Tensor  # noqa: E402
from hwsim.kernels.codebook import accumulate_by_index, vector_tables  # noqa: E402
from hwsim.kernels.conv2d import Window  # noqa: E402
from hwsim.kernels.matmul import accumulate  # noqa: E402
from hwsim.kernels.partial_sums import sum_rows  # noqa: E402
from hwsim.kernels.shift_add import shift_add  # noqa: E402
from hwsim.kernels.ternary import pack_signs, ternary_popcount  # noqa: E402
from hwsim.kernels.vector_instructions import host, wide_tables  # noqa: E402
from hwsim.ops._vector_lookup import BitSerial, Lookups, ProductTable  # noqa: E402
from hwsim.quantizers.powers import additive_powers_of_two, terms_of  # noqa: E402
from hwsim.reports.markdown import table  # noqa: E402
from hwsim.simulate import compile  # noqa: E402
from hwsim.simulate.program import Session  # noqa: E402

BITS = (2, 3, 4)
THIRD, FASTER = 1 / 3, 1.0
INT8 = "int8, vector kernels"
Array = np.ndarray[Any, Any]
Call = Callable[[], object]
CODES = Affine.per_tensor(0.05)
OUT = Affine.per_tensor(5.0)
SIGNS = Levels(np.array([[-1, 1]], np.int32), np.ones(1, np.float32), 1, None, np.zeros((1, 1)))

PAGE = """# Datapaths beside int8

Written by `scripts/datapaths.py`. One thread, instructions: {lanes} lanes of int32{vnni}{vbmi}. A cell has billions
of multiply-accumulates a second, and how many times as fast that is as the int8 vector kernels on the same layer in
the same run: above 1, the datapath is faster. Aims: a third for tables and codebooks of 2 to 4 bits, above 1 for
signs. A layer is image x channels in > out, kernel; a fully connected one rows x in > out.

## What a graph runs

Layers as `simulate` runs them, output stage included. Weights behind tables (codebooks, LCQ, APoT, ternary) are levels
once a graph is compiled; activations behind tables are looked up on the way in, and a sum's code is the number of
thresholds it reaches. Layers of signs count the bits that differ, 512 products an instruction.

{graphs}

## Executed as look-ups

Sums in int32, without an output stage. A product table is one of any numbers, 15 bits wide, and needs no levels behind
it; a codebook's row looks up the products of 8-bit activations with its centers, which a graph would multiply;
bit-serial looks up the sums that four bits of weights choose, plane by plane. What bounds it: 64 products are two
permutations of 16 bits, an addition and a multiply-add, where int8 has one multiply-add; on a processor that starts two
of each in a cycle that is a factor of two. Activations of more than 4 bits need a table each, 32 bytes long, which the
second-level cache has to deliver.

{lookups}

## In the order of the datapath itself

Portable kernels that do what the hardware would, step by step, on rows of patches. They have no aim: what graphs run
is above.

{portable}

{verdict}
"""


@dataclass(frozen=True)
class Shape:
    """A convolution of stride 1 over a square image, or a fully connected layer of `size` rows where `kernel` is 0."""

    size: int
    channels: int
    filters: int
    kernel: int

    def __str__(self) -> str:
        what = f"{self.channels} > {self.filters}"
        rows = f"{self.size}x{self.size}" if self.kernel else f"{self.size}"
        return f"{rows} x {what}" + f", {self.kernel}x{self.kernel}" * bool(self.kernel)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the layer, those of padding among them."""
        return self.pixels * self.depth * self.filters

    @property
    def pixels(self) -> int:
        """Output pixels, or rows."""
        return self.size**2 if self.kernel else self.size

    @property
    def depth(self) -> int:
        """Products of a sum."""
        return self.channels * max(self.kernel, 1) ** 2


SHAPES = [
    Shape(32, 16, 16, 3), Shape(16, 32, 32, 3), Shape(8, 64, 64, 3), Shape(14, 256, 256, 3), Shape(12, 128, 128, 1),
    Shape(64, 640, 128, 0), Shape(1, 1024, 1000, 0),
]  # fmt: skip


class Case:
    """One shape under every datapath."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.g = shape, np.random.default_rng(0)
        k = max(shape.kernel, 1)
        self.window = Window(k, k, 1, 1, 1, 1, (k - 1) // 2, (k - 1) // 2)
        self.out_size = (shape.size, shape.size if shape.kernel else 1)
        self.taps = (shape.filters, k, k, shape.channels)
        self.image = (1, *self.out_size, shape.channels)

    def graphs(self) -> dict[tuple[str, float], Call]:
        """Layers as graphs run them, with their aims."""
        calls: dict[tuple[str, float], Call] = {}
        for bits in BITS:
            levels = Levels(self.table(bits, -127), np.full(1, 0.01, np.float32), bits)
            edges = np.linspace(-3000, 3000, (1 << bits) - 1)[None]
            coded = Levels(self.table(bits, 0), np.ones(1, np.float32), bits, None, edges)
            calls[f"weights behind a table, {bits} bits", THIRD] = self.layer(CODES, levels, OUT)
            calls[f"weights and activations behind tables, {bits} bits", THIRD] = self.layer(coded, levels, coded)
        calls["signs", FASTER] = self.layer(SIGNS, SIGNS, SIGNS)
        calls["signs, 8 bits out", FASTER] = self.layer(SIGNS, SIGNS, OUT)
        return calls

    def lookups(self) -> dict[tuple[str, float], Call]:
        """Layers that look up, with their aims."""
        calls: dict[tuple[str, float], Call] = {}
        for bits in BITS:
            any_numbers = self.g.integers(-16000, 16000, (1 << bits, 1 << bits)).astype(np.int32)
            centers = self.table(bits, -127).reshape(-1, 1) * np.arange(-128, 128)
            codes = self.g.integers(0, 1 << bits, self.taps).astype(np.uint8)
            images = [self.g.integers(0, n, self.image).astype(np.uint8) for n in (1 << bits, 256)]
            product = ProductTable(codes, self.window, self.out_size, any_numbers)
            codebook = ProductTable(codes, self.window, self.out_size, centers.astype(np.int32), 128)
            serial = BitSerial(codes.astype(np.int16) - (1 << bits - 1), self.window, self.out_size, bits)
            calls[f"product table, {bits} bits by {bits}", THIRD] = self.sums(product, images[0])
            calls[f"codebook's products, {bits} bits by 8", THIRD] = self.sums(codebook, images[1])
            calls[f"bit-serial, {bits} bits by 8", THIRD] = self.sums(serial, images[1].view(np.int8))
        return calls

    def portable(self) -> dict[tuple[str, float], Call]:
        """Kernels in the order of their datapath."""
        s, bits = self.shape, 4
        rows = self.g.integers(-128, 128, (s.pixels, s.depth)).astype(np.int16)
        codes = self.g.integers(0, 15, (s.filters, s.depth)).astype(np.uint8)
        weights, out = codes.astype(np.int16), np.empty((s.pixels, s.filters), np.int32)
        levels = additive_powers_of_two(self.g.normal(0, 1, 999), bits).table[0]
        centers, terms, bias = self.table(bits, -127)[0], terms_of(levels), np.zeros(s.filters, np.int32)
        return {
            ("int8, multiplied", 0.0): lambda: accumulate(rows, weights, bias, out),
            ("codebook by index, 4 bits", 0.0): lambda: accumulate_by_index(rows, codes, centers, out),
            ("APoT by shifts, 4 bits", 0.0): lambda: shift_add(rows, codes, terms, out),
            ("product codebook, 4 bits for 4 weights", 0.0): self.products(rows),
            ("ternary planes", 0.0): self.ternary(),
        }

    def table(self, bits: int, low: int) -> Array:
        """As many whole levels as `bits` have, ascending."""
        levels = np.sort(self.g.choice(np.arange(low, low + 255), 1 << bits, replace=False))
        return levels.astype(np.int32)[None]

    def layer(self, source: Affine | Levels, weights: Affine | Levels, out: Affine | Levels) -> Call:
        """A graph of one layer, bound to its arrays."""
        kinds = ["uint8" if isinstance(form, Levels) else "int8" for form in (source, weights, out)]
        low, high = (0, weights.table.shape[1]) if isinstance(weights, Levels) else (-127, 128)
        op = "conv2d" if self.shape.kernel else "fully_connected"
        taps = self.taps if self.shape.kernel else (self.taps[0], self.taps[3])
        shapes = [self.image, (*self.image[:-1], self.shape.filters)]
        if not self.shape.kernel:
            shapes = [(self.shape.size, shape[-1]) for shape in shapes]
        tensors = (
            Tensor("x", shapes[0], kinds[0], source),
            Tensor("w", taps, kinds[1], weights, self.g.integers(low, high, taps).astype(kinds[1])),
            Tensor("y", shapes[1], kinds[2], out),
        )
        options: dict[str, Any] = {"activation": "none"}
        if self.shape.kernel:
            options |= {"padding": "same", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
        graph = Graph("one layer", tensors, (Node(op, "y", (0, 1, -1), (2,), options),), (0,), (2,))
        session = Session(graph, compile(graph, engine("dyadic")).nodes, 1, False)
        top = source.table.shape[1] if isinstance(source, Levels) else 128
        session.values[0][...] = self.g.integers(0, top, session.values[0].shape)
        (step,) = session.steps
        return step

    def sums(self, layer: Lookups, images: Array) -> Call:
        """A layer of look-ups on an image."""
        out = np.empty((1, *self.out_size, self.shape.filters), np.int32)
        layer(images)
        return lambda: layer.fastest(images, out)

    def products(self, rows: Array) -> Call:
        """Vectors of four weights out of 16."""
        pixels, depth, filters = self.shape.pixels, self.shape.depth, self.shape.filters
        book = self.g.integers(-127, 128, (depth // 4, 16, 4)).astype(np.int16)
        codes = self.g.integers(0, 16, (filters, depth // 4)).astype(np.uint8)
        tables, out = np.empty((depth // 4, 16, pixels), np.int32), np.empty((filters, pixels), np.int32)

        def call() -> None:
            vector_tables(rows, book, tables)
            sum_rows(tables, codes, out)

        return call

    def ternary(self) -> Call:
        """Signs and zeros."""
        pixels, depth, filters = self.shape.pixels, self.shape.depth, self.shape.filters
        words, out = -(-depth // 64), np.empty((pixels, filters), np.int32)
        values, taps = (self.g.integers(-1, 2, (n, depth)).astype(np.int8) for n in (pixels, filters))
        planes = [np.empty((n, words), np.uint64) for n in (pixels, pixels, filters, filters)]
        pack_signs(taps, planes[2], planes[3])

        def call() -> None:
            pack_signs(values, planes[0], planes[1])
            ternary_popcount(*planes, out)

        return call


def fastest(calls: dict[str, Call], seconds: float) -> dict[str, float]:
    """Seconds of the fastest call of each, after a first one that compiles, in turn for so long in all."""
    least, order = {}, list(calls)
    for name, call in calls.items():
        call()
        least[name] = 9.0
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end:
        random.shuffle(order)
        for name in order:
            start = time.perf_counter()
            calls[name]()
            least[name] = min(least[name], time.perf_counter() - start)
    return least


def main() -> None:
    """Measure, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.3, help="for each datapath of a shape")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "datapaths.md")
    arguments = parser.parse_args()
    sections: dict[str, dict[str, list[str]]] = {"graphs": {}, "lookups": {}, "portable": {}}
    missed, aims = [], 0
    for shape in SHAPES:
        case = Case(shape)
        parts = {name: getattr(case, name)() for name in sections}
        calls = {name: call for part in parts.values() for (name, _), call in part.items()}
        least = fastest({INT8: case.layer(CODES, CODES, OUT)} | calls, arguments.seconds)
        sections["graphs"].setdefault(INT8, []).append(f"{shape.macs / least[INT8] / 1e9:.0f} G, 1.00")
        for section, part in parts.items():
            for name, aim in part:
                ratio = least[INT8] / least[name]
                cell = f"{shape.macs / least[name] / 1e9:.0f} G, {ratio:.2f}"
                sections[section].setdefault(name, []).append(cell)
                aims += aim > 0
                if ratio < aim:
                    missed.append(f"{name}, {shape}: {ratio:.2f}, aim {aim:.2f}")
    heads = ["datapath", *map(str, SHAPES)]
    tables = {name: table(heads, [[k, *v] for k, v in rows.items()]) for name, rows in sections.items()}
    verdict = (
        f"{aims - len(missed)} of {aims} aims are met."
        + "\n" * bool(missed)
        + "".join(f"\n- not met: {line}" for line in missed)
    )
    lanes, vnni = host()
    machine = {"lanes": lanes, "vnni": ", VNNI" * vnni, "vbmi": ", VBMI" * wide_tables()}
    text = PAGE.format(**tables, **machine, verdict=verdict)
    written = arguments.out.with_suffix(".new")
    written.write_text(text)
    written.replace(arguments.out)
    print(text)


if __name__ == "__main__":
    main()
