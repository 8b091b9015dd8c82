"""Cycles of kernels on RISC-V cores, against what their verilated RTL counted."""

import csv
from pathlib import Path

import pytest

import hwsim
from hwsim.cost_models.work import Work, chain

ROWS = Path(hwsim.__file__).parent / "targets" / "measurements" / "riscv_kernels.csv"


def rows(*targets: str) -> list[dict[str, str]]:
    with ROWS.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["target"] in targets]


def work_of(row: dict[str, str]) -> Work:
    height, width, channels, down, across, filters, lines, columns, stride, _ = map(int, row["shape"].split("x"))
    depthwise = row["kernel"] == "depthwise"
    taps = lines * columns * (1 if depthwise else channels)
    return Work(
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


def estimated(row: dict[str, str]) -> hwsim.cost_models.Estimate:
    return hwsim.estimate(chain("kernel", (work_of(row),)), row["target"])


@pytest.mark.parametrize("row", rows("ibex", "ibex@maxperf"), ids=lambda row: "-".join(list(row.values())[:3]))
def test_ibex_takes_exactly_the_cycles_of_its_rtl(row: dict[str, str]) -> None:
    assert estimated(row).cycles == int(row["cycles"])


@pytest.mark.parametrize("target, limit", [("cv32e40p", 0.005), ("picorv32", 0.015)])
def test_other_cores_take_nearly_the_cycles_of_their_rtl(target: str, limit: float) -> None:
    for row in rows(target):
        assert estimated(row).cycles == pytest.approx(int(row["cycles"]), rel=limit), row


def test_instructions_are_those_that_the_core_counted() -> None:
    for row in rows("ibex", "picorv32"):
        assert abs(estimated(row).layers[0].cost.instructions - int(row["instructions"])) <= 3, row
