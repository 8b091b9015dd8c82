"""How far estimates of the MVP, application cores and RISC-V cores lie from what was measured, as data or printed.

Held-out rows: all of one network (or device) are predicted by a fit to the others. Beside them a simple rule: cycles
are multiply-accumulates times a constant per target and runtime, its median over the other networks (or devices).
RISC-V kernels need no fit: their loops and latencies are counted, and compared with what verilated cores took.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hwsim.cost_models import estimate
from hwsim.cost_models.accuracy import accuracy
from hwsim.cost_models.fit import fit
from hwsim.cost_models.measurements import Measurement, read_measurements, shipped_network
from hwsim.cost_models.work import Work, chain
from hwsim.targets import target

FOLDER = Path(__file__).parent.parent / "hwsim" / "targets" / "measurements"
CLASSES = {
    "mvp": (["efr32xg24"], ["network"]),
    "cortex_a": (["cortex-a7", "cortex-a53", "cortex-a72"], ["network", "device"]),
    "riscv_dsp": (["andes-d25"], ["network"]),
}


def evaluate() -> pd.DataFrame:
    """Errors per class: rows, devices, how rows were held out, median, shares, and the simple rule's median."""
    found = []
    for name, (targets, groupings) in CLASSES.items():
        rows = read_measurements(FOLDER / f"{name}.csv")
        for hold_out in groupings:
            result = fit([target(each) for each in targets], rows, hold_out=hold_out).rows
            errors = accuracy(result["measured_s"].to_numpy(float), result["held_out_s"].to_numpy(float))
            if errors is not None:
                facts = [name, "latency", hold_out, errors.rows, len({row.device for row in rows}), errors.median]
                found.append([*facts, *errors.within, macs_rule(rows, hold_out)])
    columns = ["class", "what", "held out", "rows", "devices", "median", "within 10 %", "within 25 %", "within 50 %"]
    return pd.DataFrame(found, columns=[*columns, "macs rule"])


def macs_rule(rows: Sequence[Measurement], hold_out: str) -> float:
    """Median error of multiply-accumulates times a constant, among the rows that have any and were timed whole."""
    macs = [_macs(row) if row.part in ("", "compute") else 0 for row in rows]
    errors = []
    for row, count in zip(rows, macs, strict=True):
        others = [
            other.latency_s / work
            for other, work in zip(rows, macs, strict=True)
            if work
            and (other.target, other.runtime, other.part) == (row.target, row.runtime, row.part)
            and getattr(other, hold_out) != getattr(row, hold_out)
        ]
        if count and others:
            errors.append(abs(count * float(np.median(others)) / row.latency_s - 1))
    return float(np.median(errors)) if errors else float("nan")


def against_rtl() -> pd.DataFrame:
    """Kernels on RISC-V cores: runs, how many are equal to the cycle, and the largest error."""
    with (FOLDER / "riscv_kernels.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for name in sorted({row["target"] for row in rows}):
        cycles = [(_kernel_cycles(row), int(row["cycles"])) for row in rows if row["target"] == name]
        largest = max(abs(estimated / counted - 1) for estimated, counted in cycles)
        found.append([name, len(cycles), sum(estimated == counted for estimated, counted in cycles), largest])
    return pd.DataFrame(found, columns=["target", "runs", "equal", "largest error"])


def _macs(row: Measurement) -> int:
    works = shipped_network(row.network).works
    return sum(work.macs for work in works if not row.layer or work.name == row.layer)


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


if __name__ == "__main__":
    print(against_rtl().to_string(index=False))
    print(evaluate().to_string(index=False))
