"""Write docs/formats.md: number formats of weights on trained networks: error, bytes, accuracy in integers, cost.

    python scripts/formats.py MODELS DATA

MODELS holds pretrainedResnet.tflite, the float ResNet-8 of MLPerf Tiny (mlcommons/tiny, image classification); DATA the
CIFAR-10 images as cifar10_test_lossless846.npz and cifar10_train_lossless7728.npz: x (n, 32, 32, 3) uint8 and y (n,),
and the weights of ResNet-20 as `cifar_resnet20` reads them, resnet20_cifar10.npz.
Every row is run when the script runs, through `hwsim.ptq` and the engine `dyadic`. About 140 seconds of one core.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from cifar_resnet20 import normalized, resnet20
from numpy.typing import NDArray

import hwsim
from hwsim.cost_models import Estimate, estimate, network_of
from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.datapaths import DATAPATHS
from hwsim.cost_models.energy import arithmetic_pj
from hwsim.cost_models.formats import PRODUCT
from hwsim.cost_models.work import Network, Table, Work, chain
from hwsim.graph import Format, Graph, Grouped, Levels
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.formats import CODE_BITS, FORMATS, activation_levels, decoded, product_codebooks, weights_in
from hwsim.ptq.lower import WEIGHTED, Coding, Weights, lower
from hwsim.ptq.observe import Seen, observe
from hwsim.quantizers.huffman import huffman_bits
from hwsim.quantizers.packing import packed_bytes
from hwsim.quantizers.product import ProductCodebooks
from hwsim.quantizers.uniform import Uniform
from hwsim.reports.markdown import table
from hwsim.reports.units import si
from hwsim.targets import target

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {"cortex-m4": "cmsis-nn-formats", "lut-npu": None, "gap9": None, "ethos-u55-128": None}
"""With the runtime of each."""

BITS = (1, 2, 3, 4, 8)
CALIBRATION = 256
LAYER = Work("layer", "conv2d", (16, 16, 32), (16, 16, 32), (3, 3), macs=256 * 288 * 32, weights=288 * 32)
NO_UNITS = {f"datapaths.{name}.steps_per_cycle": 1e-9 for name in DATAPATHS[1:]}
PAYS = ("weights", "bits", "activations as wide: by", "time", "energy", "8-bit activations: by", "time", "energy")
TITLES = {
    "uniform": "uniform", "pot": "powers of two", "apot": "APoT", "log": "logarithmic", "codebook": "k-means codebook",
    "lcq": "LCQ", "bases": "binary bases (ABC-Net)", "binary": "binary (XNOR-Net)", "ternary": "ternary, exact",
    "product": "product, pairs", "grouped": "uniform, integer scales for 16 (VS-Quant)",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Bench:
    """A float network, its images, and 8-bit formats of everything."""

    graph: Graph
    title: str
    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    seen: dict[int, Seen]
    coding: Coding

    @property
    def inner(self) -> list[int]:
        """Layers with weights but the first and the last, by node index."""
        return [i for i, node in enumerate(self.graph.nodes) if node.op in WEIGHTED][1:-1]

    def accuracy(self, integers: Graph) -> str:
        """Share of the test images that come out right, in integers."""
        form = integers.tensors[integers.inputs[0]].affine
        codes = np.clip(np.rint(self.images / form.scale[0]) + form.zero_point[0], -128, 127).astype(np.int8)
        outputs = hwsim.simulate(integers, codes, "dyadic").outputs[0]
        return f"{100 * (outputs.argmax(1) == self.labels).mean():.2f}"


def main() -> None:
    """Run everything, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    pixels = hwsim.load(options.models / "pretrainedResnet.tflite"), "ResNet-8", lambda x: x.astype(np.float32)
    colors = resnet20(options.data / "resnet20_cifar10.npz"), "ResNet-20", normalized
    benches = [prepared(*network, options.data) for network in (pixels, colors)]
    tables = [(bench, network_table(bench)) for bench in benches]
    text = page(tables, list(activation_rows(benches[0])), list(lut_rows()))
    (ROOT / "docs" / "formats.md").write_text(text)


def prepared(
    graph: Graph, title: str, as_input: Callable[[NDArray[np.uint8]], NDArray[np.float32]], data: Path
) -> Bench:
    """The network calibrated on training images, every format of 8 bits."""
    test, train = (np.load(data / f"cifar10_{name}.npz") for name in ("test_lossless846", "train_lossless7728"))
    seen = observe(graph, as_input(train["x"][:CALIBRATION]))
    return Bench(graph, title, as_input(test["x"]), test["y"], seen, choose(graph, seen, Widths()))


def network_table(bench: Bench) -> str:
    """The accuracy in float32, then a row for every format and width."""
    real = hwsim.simulate(bench.graph, bench.images, "float").outputs[0]
    print(f"{bench.title}: {100 * (real.argmax(1) == bench.labels).mean():.2f} % in float32", flush=True)
    columns = (
        "format", "bits", "error", "bytes", "Huffman", "table bytes per layer", "accuracy %",
        *(f"{name}: cycles, energy" for name in TARGETS),
    )  # fmt: skip
    rows: list[list[object]] = []
    cells = ["float32", 32, 0, f"{sum(original(bench.graph, i).size for i in bench.inner) * 4:,}", "", 0]
    rows.append([*cells, f"{100 * (real.argmax(1) == bench.labels).mean():.2f}", *[""] * len(TARGETS)])
    for kind in FORMATS:
        rows.extend(format_rows(bench, kind))
    return table(columns, rows)


def format_rows(bench: Bench, kind: str) -> Iterator[list[object]]:
    """A format at each of its widths."""
    low, high = FORMATS[kind]
    for bits in BITS:
        if not low <= bits <= high or (kind == "product" and bits % 2):
            continue
        start = time.perf_counter()
        weights = {i: weights_in(bench.graph, i, kind, bits) for i in bench.inner}
        integers = lower(bench.graph, Coding(bench.coding.activations, {**bench.coding.weights, **weights}))
        packed, huffman, tables = sizes(bench, kind, bits, weights)
        work = network_of(integers) if kind != "product" else as_product(bench, integers, bits)
        costs = [estimate(work, name, runtime) for name, runtime in TARGETS.items()]
        yield [
            TITLES[kind], bits, f"{error(bench, weights):.3g}", f"{packed:,}", f"{huffman:,}", f"{tables:,.0f}",
            bench.accuracy(integers), *map(cost_cell, costs),
        ]  # fmt: skip
        print(
            f"{bench.title} {kind} {bits}: {error(bench, weights):.3g}, {time.perf_counter() - start:.1f} s", flush=True
        )


def library_kernel(bench: Bench) -> str:
    """Cycles and energy of 4-bit weights on the Cortex-M4 under the library's own kernel."""
    weights = {i: weights_in(bench.graph, i, "uniform", 4) for i in bench.inner}
    integers = lower(bench.graph, Coding(bench.coding.activations, {**bench.coding.weights, **weights}))
    return cost_cell(estimate(network_of(integers), "cortex-m4", "tflm-cmsis-nn"))


def cost_cell(found: Estimate) -> str:
    """Cycles and energy of a network."""
    return f"{found.cycles / 1e3:,.0f} k, {si(found.energy_j, 'J')}"


def as_product(bench: Bench, integers: Graph, bits: int) -> Network:
    """The work of `integers` with the inner layers' sums of vectors as the codes and vectors that they were made of."""
    network, works = network_of(integers), list(network_of(integers).works)
    names = {bench.graph.nodes[i].name: i for i in bench.inner}
    for at, work in enumerate(works):
        if work.name in names:
            books = books_of(bench, names[work.name], bits)[0].codebooks
            vectors = replace(PRODUCT, size_bytes=books.size)
            works[at] = replace(work, weight_bits=bits, weight_table=vectors)
    return replace(network, works=tuple(works), graph=None)


@cache
def books_of(bench: Bench, index: int, bits: int) -> tuple[ProductCodebooks, NDArray[np.float64]]:
    """Codebooks of a layer, and the matrix that they were fitted to."""
    axis = WEIGHTED[bench.graph.nodes[index].op]
    return product_codebooks(original(bench.graph, index), bits, axis)[:2]


def error(bench: Bench, weights: dict[int, Weights]) -> float:
    """Squared error of the inner layers' weights, relative to their squares."""
    pairs = [(decoded(found), original(bench.graph, i)) for i, found in weights.items()]
    return float(sum(((a - b) ** 2).sum() for a, b in pairs) / sum((b**2).sum() for _, b in pairs))


def original(graph: Graph, index: int) -> NDArray[np.float64]:
    """The float weights of a layer."""
    data = graph.tensors[graph.nodes[index].inputs[1]].data
    assert data is not None
    return data.astype(np.float64)


def sizes(bench: Bench, kind: str, bits: int, weights: dict[int, Weights]) -> tuple[int, int, float]:
    """Bytes of codes and tables, the same with the codes under a Huffman code per layer, and tables per layer."""
    packed = huffman = tables = 0
    for index, found in weights.items():
        if kind == "product":
            books, matrix = books_of(bench, index, bits)
            codes, code_bits, own = books.encode(matrix), CODE_BITS, books.codebooks.size
        else:
            codes, code_bits = found.codes, bits
            own = _beside(found.format)
        packed += packed_bytes(codes.size, code_bits) + own
        huffman += -(-huffman_bits(codes, code_bits) // 8) + own
        tables += own
    return packed, huffman, tables / len(weights)


def _beside(form: Format) -> int:
    """Bytes of tables, or of integers that runs of codes are multiplied by."""
    if isinstance(form, Grouped):
        return packed_bytes(form.multipliers.size, 4)
    return form.stored_table.nbytes if isinstance(form, Levels) else 0


def activation_rows(bench: Bench) -> Iterator[list[object]]:
    """The tensors that one convolution hands to just one other behind tables of few bits: equal steps, and LCQ."""
    inside = [i for i in bench.seen if _is_inside(bench.graph, i)]
    for name, width in (("uniform", 8), ("lcq", 4)):
        weights = {**bench.coding.weights, **{i: weights_in(bench.graph, i, name, width) for i in bench.inner}}
        for bits in (2, 3, 4):
            equal = {i: _uniform(bench, i, bits) for i in inside}
            companded = {i: activation_levels(bench.seen[i], bits) for i in inside}
            usual = bench.coding.activations
            codings = [Coding({**usual, **equal}, weights), Coding(usual, weights, tables=companded)]
            cells = [bench.accuracy(lower(bench.graph, coding)) for coding in codings]
            yield [f"{TITLES[name]}, {width} bits", bits, len(inside), *cells]


def _uniform(bench: Bench, index: int, bits: int) -> Levels:
    """Equal steps from 0, behind a table too, so that the same thresholds choose their codes."""
    form = Uniform.fit(bench.seen[index].values, bits, kind="unsigned", method="mse")
    count = 1 << bits
    edges = (np.arange(1, count) - 0.5) * form.scale[0]
    return Levels(np.arange(count, dtype=np.int32)[None], form.scale.astype(np.float32), bits, None, edges[None])


def _is_inside(graph: Graph, index: int) -> bool:
    """Whether a convolution writes the tensor and only one other reads it."""
    readers = [node.op for node in graph.nodes if index in node.inputs]
    return readers == ["conv2d"] and any(node.op == "conv2d" and index in node.outputs for node in graph.nodes)


def lut_rows() -> Iterator[list[object]]:
    """A layer on lut-npu, with all its units and with multipliers only, at equal and at 8-bit activations."""
    forms: list[tuple[str, int, Table | None]] = [("binary", 1, Table("binary", 2, 1, 2))]
    forms += [("ternary", 2, Table("ternary", 2, 1, 3))]
    forms += [("uniform", bits, None) for bits in (2, 3, 4, 8)]
    forms += [("powers of two", 3, Table("levels", 4, 1, 7))]
    forms += [("codebook or LCQ", bits, Table("levels", 8, 7, 2**bits)) for bits in (2, 3, 4)]
    for name, bits, levels in forms:
        cells: list[object] = []
        for activation_bits in dict.fromkeys((bits, 8)):
            behind = levels if name == "codebook or LCQ" and activation_bits < 8 else None
            weights = replace(LAYER, weight_bits=bits, weight_table=levels)
            work = replace(weights, activation_bits=activation_bits, activation_table=behind)
            found = [estimate(chain("layer", (work,)), "lut-npu", settings=values) for values in ({}, NO_UNITS)]
            ours, theirs = (one.layers[0].cost for one in found)
            energy, plain = (_picojoules(cost, work) for cost in (ours, theirs))
            cells += [ours.datapath, f"{theirs.compute_cycles / ours.compute_cycles:.2f}", f"{plain / energy:.2f}"]
        yield [name, bits, *cells, *["as left"] * (6 - len(cells))]


def _picojoules(cost: LayerCost, work: Work) -> float:
    own = arithmetic_pj(work, target("lut-npu").profile.energy.mac_pj)
    return (own if cost.arithmetic_pj is None else cost.arithmetic_pj) + cost.decode_pj


def page(networks: list[tuple[Bench, str]], inside: list[list[object]], luts: list[list[object]]) -> str:
    """The text around the tables."""
    (small, first), (deep, second) = networks
    return f"""# Number formats

Written by `scripts/formats.py` (`make formats`) on two float networks for CIFAR-10, whose accuracy is that on 846 of
its test images: {small.title} of MLPerf Tiny, pretrainedResnet.tflite, and {deep.title}, whose weights are those of
github.com/akamaster/pytorch_resnet_cifar10. Weights of the inner layers are in the format of the row, without
training; the first and the last layer and all activations have 8 bits, calibrated on {CALIBRATION} training images;
everything runs in integers (engine `dyadic`).

- error: squared error of the inner layers' weights over the sum of their squares.
- bytes: their codes, packed, with their tables; Huffman: the same with a Huffman code for each layer. A scale per
  channel, the same for all, is not counted.
- Levels that are no integers are re-quantized to 8 bits. Codebooks and LCQ have one table per layer, fitted to weights
  divided by their channel's deviation, and the best scale of each channel for it; binary bases have one per channel.
  Product quantization has codes of 4 bits for pairs of weights, 16 vectors for each pair of columns, and another stage
  for each 2 bits more: on layers this small its vectors take more than they save. VS-Quant has an integer of 4 bits for
  every 16 weights of a channel, by which its sum is multiplied, and one real scale per channel; its integers count as
  table.
- Cycles and energy are of the whole network. On `cortex-m4` (runtime `cmsis-nn-formats`) a layer takes the quickest of
  the ways in `hwsim/cost_models/narrow.py`, with hwsim's own inner loops, whose instructions were counted: no library
  has them. CMSIS-NN's own kernel of 4-bit weights (runtime `tflm-cmsis-nn`) takes {library_kernel(small)} on
  {small.title}. `lut-npu` is an illustration. A target without a datapath for a format looks levels up before it
  multiplies, or stores them: of product quantization the sums of vectors, of VS-Quant codes times integers, on
  `ethos-u55-128`.

## {small.title}

{first}

## {deep.title}

{second}

Powers of two need more than 8 bits beyond 4, APoT beyond 6. Logarithmic levels are not fitted: their scale is the
power of two nearest to the largest weight.

## Activations behind tables

The tensors of {small.title} that one convolution hands to just one other are behind tables as well: a sum's code is
the number of thresholds it reaches, in integers. Accuracy in %; all other activations have 8 bits, nothing is trained.

{table(("weights", "bits", "tensors", "equal steps", "LCQ"), inside)}

## Where a look-up table pays

A convolution of 16 by 16 positions, 3 by 3, 32 to 32 channels on `lut-npu`: what it takes, and how many times sooner
and with how many times less energy of arithmetic than by its multipliers alone. Energies are of 45 nm (Horowitz,
ISSCC 2014), those of small tables drawn from his caches by the square root of the size; multipliers are priced by the
product of their operands' widths. So this is an argument, not a measurement.

{table(PAYS, luts)}

A product table of 4 by 4 bits holds 512 bytes, and reading 2 of them takes more than an 8-bit multiply: it does not
pay, nor does one of 3 by 3. At 2 by 2 bits, 32 bytes, it does, by a little, for levels that would be multiplied at 8
bits. Tables of partial sums (bit-serial, T-MAC) are sooner done below 4 bits, at more energy than a multiplier whose
energy shrinks with its operands. XNOR is both sooner and cheaper, shift-add cheaper. For all else a table belongs in
front of the multiplier, where it is read once per weight and not once per product.
"""


if __name__ == "__main__":
    main()
