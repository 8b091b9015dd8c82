"""Benchmarks on the terminal, as JSON, and as rows for a page."""

from dataclasses import asdict
from typing import Any

from rich.console import Console

from hwsim.reports.console import table
from hwsim.verify.bench import Benchmark, Cell

Facts = dict[str, Any]
Row = list[str]

TIMING_COLUMNS = ["who", "median", "min", "max", "GMAC/s", "ratio", "times", "handed in"]
OPERATOR_COLUMNS = ["op", "nodes", "ms", "share", "GMAC/s"]
NUMBERS = ["median", "min", "max", "GMAC/s", "ratio", "times", "nodes", "ms", "share"]


def bench_facts(benchmark: Benchmark) -> Facts:
    """What `hwsim bench` says."""
    return {
        "network": benchmark.network,
        "engine": benchmark.engine,
        "macs": benchmark.macs,
        "machine": asdict(benchmark.machine),
        "cells": [_cell_facts(benchmark, cell) for cell in benchmark.cells],
    }


def timing_rows(benchmark: Benchmark, cell: Cell) -> list[Row]:
    """A row for each contestant, under `TIMING_COLUMNS`: milliseconds per sample, and its median over hwsim's."""
    rows = []
    for name, timing in cell.timings.items():
        times = [f"{ms:.4g}" for ms in (timing.median_ms, timing.fastest_ms, timing.slowest_ms)]
        rate, ratio = _rate(gmacs(benchmark.macs, timing.median_ms)), f"{cell.ratio(name):.2f}"
        rows.append([name, *times, rate, ratio, str(timing.measurements), timing.how])
    return rows


def operator_rows(cell: Cell) -> list[Row]:
    """A row for each operator under `OPERATOR_COLUMNS`, and one for hwsim's time between them.

    With several threads there is no such row: the operators' times are then summed over threads.
    """
    parts = [(e.op, str(e.nodes), e.ms, _rate(gmacs(e.macs, e.ms))) for e in cell.operators]
    between = cell.timings["hwsim"].median_ms - sum(entry.ms for entry in cell.operators)
    if cell.threads == 1 and between > 0:
        parts.append(("between them", "", between, ""))
    total = sum(ms for _, _, ms, _ in parts)
    return [[op, nodes, f"{ms:.3g}", f"{100 * ms / total:.0f} %", rate] for op, nodes, ms, rate in parts]


def left_out_lines(benchmark: Benchmark) -> list[str]:
    """Who was not measured, where and why; one line where it is the same everywhere."""
    cells: dict[tuple[str, str], list[str]] = {}
    for cell in benchmark.cells:
        for name, why in cell.left_out.items():
            cells.setdefault((name, why), []).append(f"batch {cell.batch}, threads {cell.threads}")
    return [
        f"{name}: {why}" if len(places) == len(benchmark.cells) else f"{name} ({'; '.join(places)}): {why}"
        for (name, why), places in cells.items()
    ]


def differing_lines(benchmark: Benchmark) -> list[str]:
    """A line for each cell in which hwsim's outputs are not those of the engine that it simulates."""
    return [
        f"batch {cell.batch}, threads {cell.threads}: {cell.differing} output elements differ from {benchmark.engine}"
        for cell in benchmark.cells
        if cell.differing
    ]


def print_bench(console: Console, benchmark: Benchmark) -> None:
    """`hwsim bench` for people."""
    console.print(str(benchmark.machine), highlight=False, soft_wrap=True)
    console.print(
        f"{benchmark.network}: {benchmark.macs:,} MACs a sample, hwsim as {benchmark.engine}; milliseconds per sample, "
        "ratio: median over hwsim's",
        highlight=False,
        soft_wrap=True,
    )
    for cell in benchmark.cells:
        title = f"batch {cell.batch}, threads {cell.threads}"
        console.print(table(title, TIMING_COLUMNS, timing_rows(benchmark, cell), NUMBERS))
        console.print(table("where hwsim's time goes", OPERATOR_COLUMNS, operator_rows(cell), NUMBERS))
    for line in left_out_lines(benchmark):
        console.print(f"not measured: {line}", style="yellow", highlight=False, soft_wrap=True)
    for line in differing_lines(benchmark):
        console.print(f"NOT exact: {line}", style="red", highlight=False, soft_wrap=True)


def gmacs(macs: int, ms: float) -> float | None:
    """Billions of multiply-accumulates a second; None where there are none."""
    return macs / ms / 1e6 if macs and ms else None


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.3g}"


def _cell_facts(benchmark: Benchmark, cell: Cell) -> Facts:
    timings = {
        name: {**asdict(timing), "gmac_per_s": gmacs(benchmark.macs, timing.median_ms), "ratio": cell.ratio(name)}
        for name, timing in cell.timings.items()
    }
    operators = [{**asdict(entry), "gmac_per_s": gmacs(entry.macs, entry.ms)} for entry in cell.operators]
    return {**asdict(cell), "timings": timings, "operators": operators}
