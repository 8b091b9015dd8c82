"""Counts the kernels of kernels.c by loop level, and measures them on verilated cores.

Usage: python scripts/riscv/measure.py BUILD riscv64-unknown-elf-

BUILD holds the benches of build.sh. Writes `targets/loops/plain-rv32im.csv` (instructions of each class in the body of
each loop, solved from the executed instructions of small shapes; whole numbers, or it fails) and
`targets/measurements/riscv_kernels.csv` (cycles counted by the cores' own mcycle for shapes that are not among them).
"""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
from machine import CLASSES, run

from hwsim.cost_models.cpu import loop_runs
from hwsim.cost_models.work import Work

HERE = Path(__file__).parent
TARGETS = HERE.parent.parent / "hwsim" / "targets"
FLAGS = "-O2 -march=rv32im_zicsr -mabi=ilp32 -ffreestanding -nostdlib -fno-tree-loop-distribute-patterns"
BORDERS = ("tap_inside", "tap_beside", "line_inside", "line_beside", "output", "position", "row", "layer")
LEVELS = {
    "conv2d": ("inside", *BORDERS),
    "depthwise": BORDERS,
    "fully_connected": ("mac", "output", "layer"),
}
"""Loop levels of each kernel, as `loop_runs` counts them."""

CORES = {"ibex_small": "ibex", "ibex_maxperf": "ibex@maxperf", "cv32e40p": "cv32e40p", "picorv32": "picorv32"}
SMALL = [
    "4,4,2,4,4,2,3,3,1,1",
    "5,4,3,5,4,2,3,3,1,1",
    "7,5,2,4,3,3,3,3,2,1",
    "4,6,2,4,6,1,1,1,1,0",
    "5,5,2,3,3,2,3,3,1,0",
    "6,4,1,3,2,2,2,2,2,0",
    "5,6,2,3,6,1,5,3,1,1",
    "6,6,3,6,6,2,5,5,1,2",
    "3,5,2,3,7,4,3,1,1,1",
    "7,3,4,7,1,3,1,3,1,0",
    "5,5,5,3,3,1,3,3,2,1",
    "8,8,1,8,8,2,5,5,1,2",
]
SMALL_DENSE = [
    "1,1,4,1,1,3,1,1,1,0",
    "1,1,7,1,1,2,1,1,1,0",
    "1,1,16,1,1,5,1,1,1,0",
    "1,1,9,1,1,9,1,1,1,0",
]
"""Height, width, channels, output height and width, filters, kernel height and width, stride, padding."""

MEASURED = {
    "conv2d": [
        "8,8,4,8,8,8,3,3,1,1",
        "8,8,8,8,8,8,3,3,1,1",
        "8,8,16,8,8,16,3,3,1,1",
        "8,8,16,8,8,16,1,1,1,0",
        "17,17,3,9,9,8,3,3,2,1",
        "11,11,8,5,5,8,3,3,2,0",
        "12,12,4,12,12,4,5,5,1,2",
    ],
    "depthwise": [
        "8,8,8,8,8,8,3,3,1,1",
        "17,17,4,9,9,4,3,3,2,1",
        "10,10,16,8,8,16,3,3,1,0",
        "9,9,6,9,9,6,5,5,1,2",
    ],
    "fully_connected": [
        "1,1,64,1,1,10,1,1,1,0",
        "1,1,256,1,1,1,1,1,1,0",
        "1,1,128,1,1,100,1,1,1,0",
    ],
}
"""None of them among the small ones that the loops were solved from."""

SOURCE = "scripts/riscv/kernels.c, gcc 12.2 -O2 rv32im, executed instructions"

OTHERS = [
    ["elementwise", "output", 25, 8, 1, 1, 9, 2, 1, 1, 2, 0, 0, "as an output of fully_connected and a loop around it"],
    ["add", "output", 75, 24, 3, 3, 27, 6, 1, 1, 2, 0, 0, "three times elementwise: two inputs and the sum"],
    ["max_pool", "patch", 6, 0, 1, 0, 2, 1, 0, 1, 1, 0, 0, "a comparison for each tap; assumed"],
    ["average_pool", "patch", 6, 0, 1, 0, 2, 1, 0, 1, 0, 0, 0, "an addition for each tap; assumed"],
    ["average_pool", "output", 33, 8, 2, 1, 9, 2, 1, 0, 2, 0, 0, "as an output of fully_connected; assumed"],
    ["softmax", "output", 300, 60, 30, 30, 90, 20, 40, 30, 30, 2, 2, "instructions as CMSIS-NN's on a Cortex-M3"],
    ["copy", "output", 0.5, 0, 0, 0, 0.25, 0, 0.25, 0.25, 0, 0, 0, "memcpy, four bytes at once"],
]
"""Kernels that no networks spend much in: kernel, level, counts by class, source."""


def main(build: Path, prefix: str) -> None:
    """Write the loop table and the measured rows."""
    with (TARGETS / "loops" / "plain-rv32im.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["kernel", "per", *CLASSES, "source"])
        for kernel, levels in LEVELS.items():
            for level, counts in zip(levels, solve(kernel, build, prefix), strict=True):
                table.writerow([kernel, level, *counts, SOURCE])
        table.writerows(OTHERS)
    with (TARGETS / "measurements" / "riscv_kernels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["target", "kernel", "shape", "instructions", "cycles", "source"])
        for kernel, shapes in MEASURED.items():
            for shape in shapes:
                for core, target in CORES.items():
                    instructions, cycles = simulate(build, core, compiled(kernel, shape, core, build, prefix))
                    rows.writerow([target, kernel, shape.replace(",", "x"), instructions, cycles, f"verilated {core}"])


def solve(kernel: str, build: Path, prefix: str) -> list[list[int]]:
    """Instructions of each class in the body of each loop; fails where whole numbers do not give every count."""
    shapes = SMALL_DENSE if kernel == "fully_connected" else SMALL
    runs, counts = [], []
    for shape in shapes:
        image = compiled(kernel, shape, "ibex_small", build, prefix).with_suffix(".bin").read_bytes()
        counted, levels = run(image), loop_runs(work_of(kernel, shape))
        counts.append([counted[name] for name in CLASSES])
        runs.append([levels[level] for level in LEVELS[kernel]])
    found, _, rank, _ = np.linalg.lstsq(np.array(runs, float), np.array(counts, float), rcond=None)
    whole = np.rint(found).astype(int)
    if rank < len(LEVELS[kernel]) or not np.array_equal(np.rint(runs).astype(int) @ whole, np.array(counts)):
        raise SystemExit(f"{kernel}: the loops do not explain what was executed")
    return whole.tolist()


def work_of(kernel: str, shape: str) -> Work:
    """The work of a kernel at a shape."""
    height, width, channels, down, across, filters, rows, columns, stride, _ = map(
        int, shape.replace("x", ",").split(",")
    )
    depthwise = kernel == "depthwise"
    filters = channels if depthwise else filters
    outputs, taps = down * across * filters, rows * columns * (1 if depthwise else channels)
    return Work(
        name=kernel,
        op="depthwise_conv2d" if depthwise else kernel,
        input_size=(height, width, channels),
        output_size=(down, across, filters),
        kernel=(rows, columns),
        stride=(stride, stride),
        groups=channels if depthwise else 1,
        macs=outputs * taps,
        weights=filters * taps,
    )


def compiled(kernel: str, shape: str, core: str, build: Path, prefix: str) -> Path:
    """The program of a kernel, as text of words for the benches; its bytes lie beside it (.bin)."""
    name = build / f"{kernel}-{shape.replace(',', 'x')}-{core}"
    counters = ["-DRDCYCLE"] if core == "picorv32" else []
    program = [f"{HERE}/start.S", f"{HERE}/kernels.c", "-T", f"{HERE}/memory.ld", "-Wl,--no-warn-rwx-segments"]
    what = [f"-DKERNEL={kernel}", f"-DSHAPE={shape}", *counters]
    subprocess.run([f"{prefix}gcc", *FLAGS.split(), *what, *program, "-o", f"{name}.elf"], check=True)
    for kind, options in (("bin", ["binary"]), ("hex", ["verilog", "--verilog-data-width=4"])):
        subprocess.run([f"{prefix}objcopy", "-O", *options, f"{name}.elf", f"{name}.{kind}"], check=True)
    return name.with_suffix(".hex")


def simulate(build: Path, core: str, program: Path) -> tuple[int, int]:
    """Instructions and cycles that the core's own counters report."""
    bench = [str(build / core / "Vbench"), f"+hex={program}"]
    lines = subprocess.run(bench, check=True, capture_output=True, text=True).stdout.splitlines()
    found = dict(line.split() for line in lines if line.split()[:1] in (["1"], ["2"]))
    return int(found["1"]), int(found["2"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
