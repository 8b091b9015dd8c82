"""Write hwsim/targets/loops/cmsis-nn-*.csv: instructions per run of each loop level, from counts of whole kernels.

    python scripts/cpu_loops.py

The counts are in scripts/instruction_counts/cortex_m.csv: CMSIS-NN under QEMU (total instructions), and plain C with
the same loop nests compiled by the same gcc for cores without DSP (by class; count.py). Non-negative least squares
of relative error over the shapes give instructions per level; the classes of a level are split as below.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from hwsim.cost_models.cpu import loop_runs  # noqa: E402
from hwsim.cost_models.work import Work  # noqa: E402

COUNTS = ROOT / "scripts" / "instruction_counts" / "cortex_m.csv"
FOLDER = ROOT / "hwsim" / "targets" / "loops"
OPS = {
    "pointwise": "conv2d",
    "depthwise": "depthwise_conv2d",
    "average_pool": "average_pool_2d",
    "max_pool": "max_pool_2d",
}
LEVELS = {
    "conv2d": ("mac", "output", "patch", "tap"),
    "pointwise": ("mac", "output", "position", "weight"),
    "depthwise": ("mac", "output", "tap"),
    "fully_connected": ("mac", "output", "layer"),
    "average_pool": ("output", "patch"),
    "max_pool": ("output", "patch"),
    "add": ("output",),
    "softmax": ("output", "layer"),
}
INSIDE = {"depthwise": ("inside", "output", "tap")}
"""Cores without DSP: the 3x3 depthwise kernel skips taps outside the image instead of gathering zeros."""

SCALAR = ("alu", "load", "store", "multiply", "branch")
VECTOR = ("vector_alu", "vector_load", "vector_multiply")
# Shares of the classes in a level's instructions, read off the inner loops of CMSIS-NN's sources.
DSP_MAC = {
    "conv2d": (8, 6, 0, 8, 1),  # arm_nn_mat_mult_kernel_s8_s16: 16 MACs with 6 loads, 8 unpacks, 8 SMLAD
    "pointwise": (8, 4, 0, 8, 0.25),  # arm_nn_mat_mult_nt_t_s8: 16 MACs with 4 loads, 8 SXTB16, 8 SMLAD
    "depthwise": (9, 5, 1, 4, 1),  # arm_depthwise_conv_s8_opt: 8 MACs with 6 loads, packing, 4 SMLAD, and gathering
    "fully_connected": (7, 3, 0, 4, 1),  # arm_nn_vec_mat_mult_t_s8: 8 MACs with 3 loads, 6 SXTB16, 4 SMLAD
}
MVE_MAC = {
    "conv2d": (0.25, 0.25, 0, 0, 0.25, 0.5, 5, 4),  # arm_nn_mat_mul_core_4x_s8: 64 MACs with 5 loads, 4 VMLADAVA
    "pointwise": (0.25, 0.25, 0, 0, 0.25, 0.5, 5, 4),
    "depthwise": (1, 1, 0, 0, 1, 2, 2, 1),  # arm_nn_depthwise_conv_nt_t_s8: 4 columns, widening loads, VMLA
    "fully_connected": (0.25, 0.25, 0, 0, 0.25, 0.5, 5, 4),
}
MVE_OUTPUT = (0.40, 0.20, 0.10, 0, 0.10, 0.15, 0.05, 0)
"""Requantization four at a time in vectors, sums and pointers one at a time in core registers."""


def main() -> None:
    """Write one table per instruction set."""
    rows = [row for row in csv.DictReader(COUNTS.open(encoding="utf-8")) if row["isa"]]
    by_class = {}
    for isa in ("armv7m", "thumb", "dsp", "mve"):
        table = {kernel: _kernel(rows, isa, kernel) for kernel in LEVELS}
        if isa == "thumb":  # not compiled: its fixed-point exponentials grow as ADD's requantizations do
            grows = sum(table["add"]["output"].values()) / sum(by_class["armv7m"]["add"]["output"].values())
            softmax = by_class["armv7m"]["softmax"]
            table["softmax"] = {k: {"instructions": v["instructions"] * grows} for k, v in softmax.items()}
        by_class[isa] = table
        write(isa, table, by_class["armv7m"], rows)


def _kernel(rows: list[dict[str, str]], isa: str, kernel: str) -> dict[str, dict[str, float]]:
    """Instructions by level and class ('instructions' where only totals are known)."""
    some = [row for row in rows if row["isa"] == isa and row["kernel"] == kernel and _bits(row) == (8, 8)]
    known = [row for row in some if row["alu"]]
    levels = INSIDE.get(kernel, LEVELS[kernel]) if isa in ("armv7m", "thumb") else LEVELS[kernel]
    totals = [row for row in some if not row["alu"]] or known
    if isa == "armv7m" and kernel == "depthwise":
        totals = [row for row in totals if row["kernel_size"] == "3"]  # 5x5 takes another kernel there
    fitted: dict[str, dict[str, float]] = {level: {} for level in levels}
    if totals:
        values, worst = _fit(totals, "instructions", levels)
        for level, value in zip(levels, values, strict=True):
            fitted[level]["instructions"] = value
        print(f"{isa:7} {kernel:16} {len(totals):3} shapes, worst error {worst:.1%}")
    for name in SCALAR if known else ():
        for level, value in zip(levels, _fit(known, name, levels, weight="instructions")[0], strict=True):
            fitted[level][name] = value
    return fitted


def _fit(rows, column, levels, weight=None):
    """Instructions per run of each level, and the worst relative error."""
    runs = np.array([[loop_runs(work(row))[level] for level in levels] for row in rows])
    counted = np.array([float(row[column]) for row in rows])
    scale = np.array([float(row[weight or column]) for row in rows])
    body, _ = nnls(runs / scale[:, None], counted / scale)
    return body, float(np.abs(runs @ body / counted - 1).max()) if weight is None else 0.0


def work(row: dict[str, str]) -> Work:
    """The work that was counted."""
    size = {key: int(row[key]) for key in ("in_h", "in_w", "in_c", "out_h", "out_w", "out_c", "kernel_size", "stride")}
    k, depthwise = size["kernel_size"], row["kernel"] == "depthwise"
    weighted = row["kernel"] in ("conv2d", "pointwise", "depthwise", "fully_connected")
    weights = size["out_c"] * k * k * (1 if depthwise else size["in_c"]) if weighted else 0
    return Work(
        name=row["kernel"],
        op=OPS.get(row["kernel"], row["kernel"]),
        input_size=(size["in_h"], size["in_w"], size["in_c"]),
        output_size=(size["out_h"], size["out_w"], size["out_c"]),
        kernel=(k, k),
        stride=(size["stride"], size["stride"]),
        groups=size["in_c"] if depthwise else 1,
        macs=weights * size["out_h"] * size["out_w"],
        weights=weights,
    )


def _bits(row: dict[str, str]) -> tuple[int, int]:
    return int(row["weight_bits"]), int(row["activation_bits"])


def write(isa, table, plain, rows) -> None:
    """The table of one instruction set, with the kernels of other widths as a change of their multiply level."""
    classes = (*SCALAR, *VECTOR) if isa == "mve" else SCALAR
    lines = []
    for kernel, levels in table.items():
        shares = {level: _shares(isa, kernel, level, found, plain, classes) for level, found in levels.items()}
        for level, found in levels.items():
            total = found.get("instructions") or sum(found.values())
            lines.append(_line(kernel, level, total, shares[level], isa))
        for suffix, bits in (("_w4", (4, 8)), ("_a16", (8, 16))):
            some = [row for row in rows if row["isa"] == isa and row["kernel"] == kernel and _bits(row) == bits]
            for level, total in _other_width(some, levels).items():
                lines.append(_line(kernel + suffix, level, total, shares[level], isa))
    lines += _moves(isa, table, classes)
    with (FOLDER / f"cmsis-nn-{isa}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kernel", "per", *classes, "source"])
        writer.writerows(line for line in lines if line)


def _other_width(some, levels) -> dict[str, float]:
    """Totals by level at another width: the difference to 8 bits goes to the level of multiply-accumulates."""
    if not some or "mac" not in levels:
        return {}
    totals = {level: found["instructions"] for level, found in levels.items()}
    ratios = []
    for row in some:
        runs = loop_runs(work(row))
        rest = sum(runs[level] * totals[level] for level in totals if level != "mac")
        ratios.append((float(row["instructions"]) - rest) / runs["mac"])
    return {**totals, "mac": max(float(np.mean(ratios)), 0.0)}


def _shares(isa, kernel, level, found, plain, classes) -> tuple[float, ...]:
    if isa == "mve" and level == "mac":
        given = MVE_MAC[kernel]
    elif isa == "mve":
        given = MVE_OUTPUT
    elif isa == "dsp" and level == "mac":
        given = DSP_MAC[kernel]
    else:
        known = found if "alu" in found else plain.get(kernel, {}).get(level, {})
        given = tuple(known.get(name, 0.0) for name in classes)
        if not sum(given):
            given = (0.55, 0.2, 0.1, 0.05, 0.1)  # of requantization and pointer arithmetic, as counted on Armv7-M
    return tuple(value / sum(given) for value in given)


def _moves(isa, table, classes):
    """Kernels that were not counted: a copy moves four bytes at once; other element-wise work requantizes once."""
    add = table["add"]["output"]
    total = (add.get("instructions") or sum(add.values())) / 3
    shares = _shares(isa, "add", "output", add, {}, classes)
    copy = {"alu": 0.25, "load": 0.25, "store": 0.25, "branch": 0.125}
    yield _line("elementwise", "output", total, shares, isa, "a third of ADD, which requantizes three times")
    yield ["copy", "output", *(copy.get(name, 0.0) for name in classes), "memcpy, four bytes at once"]


def _line(kernel, level, total, shares, isa, source="") -> list[object] | None:
    if total < 1e-6:
        return None
    where = "plain C with CMSIS-NN's loop nests, gcc 12.2, counted in an emulator" if isa == "thumb" else ""
    said = source or where or "CMSIS-NN 99f736a6, gcc 12.2, counted under QEMU; classes from its inner loops"
    return [kernel, level, *(f"{total * share:.4g}" for share in shares), said]


if __name__ == "__main__":
    main()
