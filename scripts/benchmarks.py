"""Write docs/benchmarks.md: hwsim's speed beside the real engines, network by network, and which aims it meets.

    python scripts/benchmarks.py FOLDER_WITH_TFLITE_FILES [--seconds 1]

Everything on the page is measured when the script runs, by the code behind `hwsim bench`; leave the machine alone
meanwhile. The networks are public: mlcommons/tiny (training/*/trained_models), google-coral/test_data,
tensorflow/tflite-micro. Networks that are not in the folder are left out.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import hwsim
from hwsim.graph import Affine, Graph, Node, Tensor
from hwsim.reports.bench import (
    OPERATOR_COLUMNS,
    TIMING_COLUMNS,
    differing_lines,
    gmacs,
    left_out_lines,
    operator_rows,
    timing_rows,
)
from hwsim.reports.markdown import table
from hwsim.verify._contestants import SLOW
from hwsim.verify.bench import Benchmark, measure

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
NETWORKS = {
    "kws": "kws_ref_model",
    "resnet8": "pretrainedResnet_quant",
    "vww": "vww_96_int8",
    "mobilenet_v1": "mobilenet_v1_0.25_128_quant",
    "mobilenet_v2": "tf2_mobilenet_v2_1.0_224_ptq",
    "ad01": "ad01_int8",
}
ENGINE = "litert-reference"
CONVOLUTIONAL = ("kws", "resnet8", "vww", "mobilenet_v1", "mobilenet_v2")
AT_ONCE = {"resnet8": 1.0, "vww": 1.0, "mobilenet_v2": 1.0, "kws": 1 / 1.5}
DENSE = ((56, 64), (14, 256))
DENSE_GMACS = 50.0
STREAM = (64, 4096)
FLAT, FLAT_BYTES = 1.1, 4 << 20

Benchmarks = Mapping[str, Benchmark]


@dataclass(frozen=True, slots=True)
class Aim:
    """One figure to reach; `met` is None where it could not be measured."""

    what: str
    network: str
    aim: str
    measured: str
    met: bool | None

    def row(self) -> list[str]:
        """As a row of the page."""
        return [self.what, self.network, self.aim, self.measured, {True: "met", False: "not met", None: ""}[self.met]]


def main() -> None:
    """Measure everything, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", type=Path, help="a folder with .tflite files")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to time everybody in each cell, about")
    options = parser.parse_args()
    files = {name: options.models / f"{stem}.tflite" for name, stem in NETWORKS.items()}
    graphs = {name: hwsim.load(file) for name, file in files.items() if file.exists()}
    if not graphs:
        sys.exit(f"{options.models} has none of {', '.join(file.name for file in files.values())}")
    networks, streams, dense = {}, {}, {}
    for name, graph in graphs.items():
        print(name, flush=True)
        networks[name] = measure(graph, ENGINE, seconds=options.seconds)
    for size, channels in DENSE:
        graph = dense_convolution(size, channels)
        print(graph.name, flush=True)
        dense[graph.name] = measure(graph, ENGINE, batches=[1], threads=[1], seconds=options.seconds)
    for name, graph in graphs.items():
        print(name, "streaming", flush=True)
        streams[name] = measure(graph, ENGINE, batches=STREAM, threads=[1], seconds=options.seconds, against=[])
    PAGE.write_text(page(networks, dense, streams, options.seconds))


def dense_convolution(size: int, channels: int) -> Graph:
    """A 3 x 3 convolution, stride 1, size x size x channels to the same shape."""
    generator = np.random.default_rng(0)
    weights = generator.integers(-127, 128, (channels, 3, 3, channels), np.int8)
    scales = generator.uniform(0.001, 0.002, channels)
    shape, one = (1, size, size, channels), Affine.per_tensor
    tensors = (
        Tensor("x", shape, "int8", one(0.05, -3)),
        Tensor("weights", weights.shape, "int8", Affine.per_channel(scales, 0), data=weights),
        Tensor("bias", (channels,), "int32", Affine.per_channel(scales * 0.05, 0), np.zeros(channels, np.int32)),
        Tensor("y", shape, "int8", one(0.5, 2)),
    )
    options: dict[str, int | str] = {
        "padding": "same", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "activation": "none",
    }  # fmt: skip
    node = Node("conv2d", "y", (0, 1, 2), (3,), options)
    return Graph(f"dense 3x3 {size}x{size}x{channels}", tensors, (node,), (0,), (3,))


def aims(networks: Benchmarks, dense: Benchmarks, streams: Benchmarks) -> Iterator[Aim]:
    """Every figure to reach for the networks at hand, beside what was measured."""
    for name in filter(networks.__contains__, CONVOLUTIONAL):
        yield ratio_aim(networks[name], name, (1, 1), "litert-reference", 15.0)
    for name in filter(networks.__contains__, AT_ONCE):
        yield ratio_aim(networks[name], name, (1, 1), "xnnpack", AT_ONCE[name])
    for name, benchmark in networks.items():
        yield ratio_aim(benchmark, name, (64, 2), "xnnpack", 1.0)
    for name, benchmark in dense.items():
        rate = gmacs(benchmark.macs, benchmark.cells[0].timings["hwsim"].median_ms) or 0.0
        aim = f"at least {DENSE_GMACS:g} GMAC/s a core"
        yield Aim("batch 1, one thread", name, aim, f"{rate:.1f} GMAC/s", rate >= DENSE_GMACS)
    for name, benchmark in streams.items():
        yield from stream_aims(benchmark, name)


def ratio_aim(benchmark: Benchmark, name: str, where: tuple[int, int], against: str, least: float) -> Aim:
    """`against`'s time over hwsim's, which must be at least `least`, both as printed."""
    what = f"batch {where[0]}, threads {where[1]}, against {against}"
    aim = f"at least {least:.2f}"
    cell = benchmark.cell(*where)
    ratio = cell.ratio(against) if cell is not None else None
    if ratio is None:
        return Aim(what, name, aim, "not measured", None)
    return Aim(what, name, aim, f"{ratio:.2f}", round(ratio, 2) >= round(least, 2))


def stream_aims(benchmark: Benchmark, name: str) -> Iterator[Aim]:
    """Whether the cost per sample and the memory stay what they are when a data set streams through."""
    what = f"batch {STREAM[0]} to {STREAM[1]}, one thread"
    before, after = (cell.timings["hwsim"].median_ms for cell in benchmark.cells)
    aim = f"time per sample grows by at most {100 * (FLAT - 1):.0f} %"
    yield Aim(what, name, aim, f"{before:.4g} to {after:.4g} ms", after <= FLAT * before)
    aim = f"memory grows by at most {FLAT_BYTES >> 20} MiB"
    least, most = (cell.memory_bytes for cell in benchmark.cells)
    if least is None or most is None:
        yield Aim(what, name, aim, "not measured", None)
    else:
        yield Aim(what, name, aim, f"{least / 2**20:.1f} to {most / 2**20:.1f} MiB", most <= least + FLAT_BYTES)


def page(networks: Benchmarks, dense: Benchmarks, streams: Benchmarks, seconds: float) -> str:
    """The page."""
    everything = {**networks, **dense}
    found = list(aims(networks, dense, streams))
    judged = [aim for aim in found if aim.met is not None]
    machine, today = next(iter(networks.values())).machine, f"{datetime.now(UTC):%Y-%m-%d}"
    differing = [cell.differing for benchmark in everything.values() for cell in benchmark.cells]
    parts = [
        "# How fast hwsim is",
        f"Written by `scripts/benchmarks.py` on {today}. Machine: {machine}. hwsim computes as `{ENGINE}`; its outputs "
        f"were compared with that engine's in {len(differing) - differing.count(None)} of {len(differing)} cells, and "
        f"{sum(filter(None, differing))} elements differ.",
        "In each cell (a batch size and a number of threads) everybody is timed in one process and in turn: blocks of "
        "calls of about 10 ms, spread evenly over the run in random order, so that a faster or slower spell of the "
        "machine meets all alike. The timer is around the call alone, which for everybody copies the input in, "
        "computes, and copies the output out; loading, compilation and first calls are outside. LiteRT takes a batch "
        "by resizing its input; where the network fixes its batch, for TFLM, and where the whole batch would take "
        f"more than {SLOW:g} times the {seconds:g} s of a cell, samples are handed in one by one, as many as the "
        "column says. Times are milliseconds per sample: the median, the least and the most of so many measurements. "
        "The ratio is an engine's median over hwsim's: above 1, hwsim is faster.",
        "## Aims",
        f"{sum(bool(aim.met) for aim in judged)} of {len(judged)} are met. For time and memory the figures are hwsim's "
        "own; memory is what the call needs beyond its inputs and outputs. Else they are the ratio, or the rate.",
        table(["where", "network", "aim", "measured", ""], [aim.row() for aim in found]),
        *(section(name, benchmark) for name, benchmark in everything.items()),
    ]
    return "\n\n".join(parts) + "\n"


def section(title: str, benchmark: Benchmark) -> str:
    """One network's cells, where hwsim's time goes, and who was not measured."""
    timings, operators = [], []
    for cell in benchmark.cells:
        where = [str(cell.batch), str(cell.threads)]
        timings += [[*where, *row] for row in timing_rows(benchmark, cell)]
        operators += [[*where, *row] for row in operator_rows(cell)]
    where = ["batch", "threads"]
    parts = [
        f"## {title}",
        f"`{benchmark.network}`, {benchmark.macs:,} MACs a sample.",
        table([*where, *TIMING_COLUMNS], timings),
        "Where hwsim's time goes, ms per sample:",
        table([*where, *OPERATOR_COLUMNS], operators),
        "\n".join(f"- not measured: {line}" for line in left_out_lines(benchmark)),
        "\n".join(f"- NOT exact: {line}" for line in differing_lines(benchmark)),
    ]
    return "\n\n".join(part for part in parts if part)


if __name__ == "__main__":
    main()
