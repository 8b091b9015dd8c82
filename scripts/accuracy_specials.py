"""Comparisons that need no fit, for scripts/accuracy.py: Vela, RTL, SCALE-Sim; and the T4's ratio of two widths."""

import csv
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from hwsim.cost_models import estimate
from hwsim.cost_models.measurements import Measurement, read_measurements, shipped_network
from hwsim.cost_models.systolic import gemm_cycles
from hwsim.cost_models.work import Work, chain
from hwsim.reports.markdown import table
from hwsim.targets import MEASUREMENTS

VELA_CLOCK_HZ = 500e6
RUNS = 20


def against_vela() -> str:
    """Cycles of Ethos-U55 as estimated here and by Vela 5.2.0."""
    lines, errors = [], []
    for row in read_measurements(MEASUREMENTS / "ethos_u_vela.csv"):
        plain, told = (_cycles(row, settings) for settings in ({}, dict(row.settings)))
        vela = row.latency_s * VELA_CLOCK_HZ
        errors.append(abs(told / vela - 1))
        cells = [f"{cycles:,.0f}" for cycles in (vela, told, plain)]
        lines.append((row.target, row.network, *cells, f"{told / vela - 1:+.1%}"))
    found = table(("target", "network", "Vela", "same weights", "unknown weights", "difference"), lines)
    return f"{found}\n\nMedian difference {np.median(errors):.1%}, largest {max(errors):.1%}."


def against_rtl() -> str:
    """Kernels on RISC-V cores: runs, how many are equal to the cycle, and the largest error."""
    with (MEASUREMENTS / "riscv_kernels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = []
    for name in sorted({row["target"] for row in rows}):
        cycles = [(_kernel_cycles(row), int(row["cycles"])) for row in rows if row["target"] == name]
        largest = max(abs(estimated / counted - 1) for estimated, counted in cycles)
        lines.append((name, len(cycles), sum(estimated == counted for estimated, counted in cycles), f"{largest:.2%}"))
    return table(("target", "runs", "equal to the cycle", "largest error"), lines)


def against_scalesim(path: Path) -> str:
    """How many of SCALE-Sim's cycle counts are equal, and how long hwsim takes for all of them."""
    if not path.exists():
        return "Not compared: the table of SCALE-Sim's runs is not part of this repository."
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shapes = [(row["dataflow"], *(int(row[key]) for key in ("rows", "cols", "M", "K", "N"))) for row in rows]
    started = perf_counter()
    for _ in range(RUNS):
        found = [gemm_cycles(dataflow=d, rows=r, cols=c, m=m, k=k, n=n) for d, r, c, m, k, n in shapes]
    took_us = (perf_counter() - started) / RUNS * 1e6
    equal = sum(ours == int(row["total_cycles"]) for ours, row in zip(found, rows, strict=True))
    return f"{equal} of {len(rows)} runs of SCALE-Sim v3 equal to the cycle; hwsim takes {took_us:.0f} us for them all."


def tensor_core_ratio(rows: pd.DataFrame) -> Mapping[str, float]:
    """ResNet-50 on a T4: time at 8 bits over time at 4, measured and by fits that saw neither of the two networks."""
    whole = rows[rows["layer"] == ""]
    eight, four = (whole[whole["network"].str.endswith(bits)].iloc[0] for bits in ("w8a8", "w4a4"))
    names = {"measured": "measured_s", "fitted": "fitted_s", "held out": "held_out_s"}
    return {name: float(eight[column] / four[column]) for name, column in names.items()}


def _cycles(row: Measurement, settings: dict[str, float]) -> float:
    return estimate(shipped_network(row.network), row.target, settings=settings).cycles


def _kernel_cycles(row: dict[str, str]) -> float:
    height, width, channels, down, across, filters, lines, columns, stride, _ = map(int, row["shape"].split("x"))
    depthwise = row["kernel"] == "depthwise"
    taps = lines * columns * (1 if depthwise else channels)
    work = Work(
        name=row["kernel"],
        op="depthwise_conv2d" if depthwise else row["kernel"],
        input_size=(height, width, channels),
        output_size=(down, across, filters),
        kernel=(lines, columns),
        stride=(stride, stride),
        groups=channels if depthwise else 1,
        macs=down * across * filters * taps,
        weights=filters * taps,
    )
    return estimate(chain("kernel", (work,)), row["target"]).cycles
