"""Write docs/accuracy.md: how far estimates lie from what was measured, class by class, and which aims are met.

    python scripts/accuracy.py [--shared ../shared] [--only cortex_m] [--rows FOLDER] [--bands]

Every class is evaluated by `hwsim.fit` on its table in hwsim/targets/measurements: all rows of one device (or network)
are predicted by a fit to the others. `--only` prints one class and writes nothing. `--bands` writes the bands of the
targets from the same held-out rows; `--rows` lets several runs share the work. Figures of SCALE-Sim are read from
--shared and left out where it is not there.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from accuracy_specials import against_rtl, against_scalesim, against_vela, tensor_core_ratio
from accuracy_tables import board_energy, errors_of, relabelled, simple_rules

import hwsim
from hwsim.cost_models.fit import count_fits
from hwsim.cost_models.fitted_file import with_bands
from hwsim.cost_models.measurements import Measurement, read_measurements
from hwsim.reports.files import write_text
from hwsim.reports.markdown import table
from hwsim.reports.terminal import progress_bar
from hwsim.targets import MEASUREMENTS, target

PAGE = Path(__file__).resolve().parents[1] / "docs" / "accuracy.md"
COLUMNS = (
    *("class", "what", "held out", "rows", "devices", "median error", "within 10 %", "within 25 %", "within 50 %"),
    *("MACs x constant", "constant per network"),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A class of devices.

    Parameters
    ----------
    name : of its table of measurements
    targets : that are fitted together
    hold_outs : 'device', 'network'; the first gives the bands
    about : what it is, and what its figures do not show
    """

    name: str
    targets: tuple[str, ...]
    hold_outs: tuple[str, ...]
    about: str


SUBJECTS = (
    Subject(
        "cortex_m",
        ("cortex-m4", "cortex-m33", "cortex-m7"),
        ("device",),
        "Cortex-M4, M33 and M7 on six boards with eleven runtimes: MLPerf Tiny v0.5 to v1.3 and ST's model zoo. "
        "A runtime that was measured on one board only cannot be held out with it; those rows are not counted. "
        "Cortex-M0+, M55 and M85 have no measurement here: their estimates come from their instruction sets.",
    ),
    Subject(
        "cortex_a",
        ("cortex-a7", "cortex-a53", "cortex-a72"),
        ("network", "device"),
        "Raspberry Pi 3 and 4 and STM32MP157 with XNNPACK, TFLite's own kernels and LEIP. Of each core there are one "
        "or two boards, so that a board held out often leaves nothing that tells of its core: few rows remain.",
    ),
    Subject(
        "edge_tpu",
        ("coral-edgetpu",),
        ("network", "device"),
        "Coral's published benchmarks on the USB Accelerator with a desktop and on the Dev Board. The board held out "
        "is predicted with the host of the other.",
    ),
    Subject(
        "mvp",
        ("efr32xg24",),
        ("network",),
        "EFR32xG24: cycles of each layer of thirteen networks of SiliconLabs/mltk, the accelerator's and the "
        "processor's apart where both were counted. One chip: held out by network.",
    ),
    Subject(
        "gpu_t4",
        ("nvidia-t4",),
        ("network",),
        "HAWQ-V3's ResNet-50 on a T4: layers timed alone, and whole networks of mixed widths. One card: held out by "
        "network, which all have the same layers at other widths.",
    ),
    Subject(
        "gap",
        ("gap9", "gap8"),
        ("network",),
        "Two networks of MLPerf Tiny on GAP9, one of DORY's on GAP8: too few to say more than that it is no nonsense.",
    ),
    Subject(
        "riscv_dsp",
        ("andes-d25",),
        ("network",),
        "Andes D25F on an FPGA, four networks of MLPerf Tiny; held out, three networks tell three constants.",
    ),
)


def main() -> None:
    """Evaluate every class, then write the page and, if wanted, the bands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="where SCALE-Sim's cycles are")
    parser.add_argument("--only", choices=[subject.name for subject in SUBJECTS], help="print this class alone")
    parser.add_argument("--rows", type=Path, help="keep held-out rows in this folder, and take those that are there")
    parser.add_argument("--bands", action="store_true", help="write the targets' bands from the held-out rows")
    options = parser.parse_args()
    chosen = [subject for subject in SUBJECTS if options.only in (None, subject.name)]
    found: dict[tuple[str, str], pd.DataFrame] = {}
    for subject in chosen:
        rows = read_measurements(MEASUREMENTS / f"{subject.name}.csv")
        for hold_out in subject.hold_outs:
            found[subject.name, hold_out] = kept(subject, rows, hold_out, options.rows)
            print(_row(subject.name, hold_out, "latency", found[subject.name, hold_out]), flush=True)
        if options.bands:
            write_bands(subject, found[subject.name, subject.hold_outs[0]])
    if options.only is None:
        rows = relabelled(read_measurements(MEASUREMENTS / "cortex_a.csv"))
        other = kept(SUBJECTS[1], rows, "network", options.rows, "-relabelled")
        PAGE.write_text("\n\n".join(page(found, other, options.shared)) + "\n", encoding="utf-8")


def kept(
    subject: Subject, rows: Sequence[Measurement], hold_out: str, folder: Path | None, mark: str = ""
) -> pd.DataFrame:
    """What `evaluated` gives, from the folder of `--rows` where an earlier run left it there."""
    if folder is None:
        return evaluated(subject, rows, hold_out)
    path = folder / f"{subject.name}-{hold_out}{mark}.csv"
    if not path.exists():
        write_text(path, evaluated(subject, rows, hold_out).to_csv(index=False))
    words = ("group", "target", "device", "runtime", "network", "layer", "part")
    return pd.read_csv(path, dtype=dict.fromkeys(words, str)).fillna({"layer": "", "part": "", "runtime": ""})


def evaluated(subject: Subject, rows: Sequence[Measurement], hold_out: str) -> pd.DataFrame:
    """The rows of `hwsim.fit` with held-out estimates and those of two simple rules, `macs_s` and `network_s`."""
    with progress_bar(f"{subject.name}, one {hold_out} held out at a time", count_fits(rows, hold_out)) as advance:
        found = hwsim.fit([target(name) for name in subject.targets], rows, hold_out=hold_out, progress=advance).rows
    if subject.name == "cortex_m":
        found["held_out_j"] = board_energy(found)
    return simple_rules(found)


def write_bands(subject: Subject, rows: pd.DataFrame) -> None:
    """The bands of the subject's targets, from held-out rows, into their files."""
    for name in subject.targets:
        machine = target(name)
        write_text(machine.path, with_bands(machine, rows, f"{subject.name}.csv"))


def page(found: dict[tuple[str, str], pd.DataFrame], other: pd.DataFrame, shared: Path) -> Iterator[str]:
    """The page, paragraph by paragraph."""
    yield "# Accuracy of estimates"
    yield (
        "Written by `scripts/accuracy.py`. Every figure is of rows held out: all rows of one device (or network) are "
        "predicted by a fit to the others, which starts from the middle of each constant's limits and so knows nothing "
        "of them. Beside them two simple rules under the same holding out: MACs times the median rate of the target, "
        "and the median of the same network on the same target. A measurement's source is in its row of "
        "hwsim/targets/measurements."
    )
    lines = [_row(name, hold_out, "latency", rows) for (name, hold_out), rows in found.items()]
    lines += [_row(name, how, "energy", rows) for (name, how), rows in found.items() if name in ("cortex_m", "gap")]
    yield table(COLUMNS, [line for line in lines if line])
    ratio = tensor_core_ratio(found["gpu_t4", "network"])
    yield "## Aims"
    yield table(("figure", "aim", "reached", ""), list(aims(found, ratio)))
    yield (
        "Cortex-M0+, M55 and M85 (aim: under 30 %, predicted from the instruction set) cannot be judged here: "
        "no measurement of them is in this repository."
    )
    for subject in SUBJECTS:
        yield f"## {subject.name}"
        yield subject.about
        if subject.name == "cortex_m":
            yield from cortex_m(found["cortex_m", "device"])
        if subject.name == "cortex_a":
            yield relabelling(found["cortex_a", "network"], other)
        if subject.name == "gpu_t4":
            yield "8-bit over 4-bit time of ResNet-50: " + ", ".join(f"{k} {v:.3f}" for k, v in ratio.items()) + "."
    yield "## Ethos-U55 beside Vela 5.2.0"
    yield "Vela estimates too; neither is silicon. Cycles with weights as small as Vela encoded them, and unknown."
    yield against_vela()
    yield "## RISC-V kernels beside RTL"
    yield "Verilated cores, memory that never waits; loops and latencies are counted from documents, not fitted."
    yield against_rtl()
    yield "## SCALE-Sim"
    yield against_scalesim(shared / "measurements" / "scalesim_cycles.csv")


def aims(found: dict[tuple[str, str], pd.DataFrame], ratio: dict[str, float]) -> Iterator[tuple[str, ...]]:
    """Each figure, what was aimed at, what was reached, and whether that is enough."""
    yield _aim("Cortex-M latency, device held out, median", 0.08, _median(found["cortex_m", "device"]))
    errors = errors_of(found["cortex_m", "device"])
    quarter = errors.within[1] if errors else 0.0
    met = "met" if quarter >= 0.9 else "not met"
    yield "Cortex-M latency, device held out, within 25 %", "90 % of rows", f"{quarter:.0%}", met
    yield _aim("Cortex-M energy, median", 0.15, _median(found["cortex_m", "device"], "energy"))
    yield _aim("Edge TPU, network held out, median", 0.12, _median(found["edge_tpu", "network"]))
    yield _aim("Edge TPU, device held out, median", 0.12, _median(found["edge_tpu", "device"]))
    yield _aim("Cortex-A, network held out, median", 0.20, _median(found["cortex_a", "network"]))
    yield _aim("Cortex-A, device held out, median", 0.20, _median(found["cortex_a", "device"]))
    yield _aim("xG24 layers, network held out, median", 0.15, _median(found["mvp", "network"]))
    yield _aim("T4, ratio of 8 to 4 bits, held out, error", 0.10, abs(ratio["held out"] / ratio["measured"] - 1))


def cortex_m(rows: pd.DataFrame) -> Iterator[str]:
    """Errors by device and by runtime, and how energy is judged."""
    for key in ("device", "runtime"):
        lines = []
        for name, group in rows.groupby(key):
            errors = errors_of(group)
            lines.append((name, len(group), *_cells(errors)))
        columns = (key, "measured", "held out", "median error", "within 10 %", "within 25 %", "within 50 %")
        yield table(columns, lines)
    yield (
        "Energy is the latency predicted without the board, times the board's power as measured with its other "
        "runtimes: no model of a core knows a board's supply and regulator, so a board that nobody measured has none."
    )


def relabelling(rows: pd.DataFrame, other: pd.DataFrame) -> str:
    """Both figures for six rows whose runtime is an inference."""
    one, two = _median(rows), _median(other)
    return (
        "Six rows (M0758 to M0763, ST's own networks with X-LINUX-AI 5.1) lie 2 to 14 % from the same networks' times "
        "in the earlier release, while all others of that table halved. Their runtime is therefore taken to be the "
        "earlier kernels, which was decided after a first fit had been seen. Networks held out, the median over all "
        f"rows is {one:.1%} so, and {two:.1%} with the table's label."
    )


def _row(name: str, hold_out: str, what: str, rows: pd.DataFrame) -> list[str]:
    errors = errors_of(rows, what)
    if errors is None:
        return []
    devices = rows["device"].nunique()
    rules = [errors_of(rows, "latency", rule) if what == "latency" else None for rule in ("macs_s", "network_s")]
    shares = [f"{share:.0%}" for share in errors.within]
    plain = [f"{rule.median:.0%}" if rule else "" for rule in rules]
    return [name, what, hold_out, str(errors.rows), str(devices), f"{errors.median:.1%}", *shares, *plain]


def _cells(errors: object) -> tuple[str, ...]:
    if errors is None:
        return ("0", "", "", "", "")
    return (str(errors.rows), f"{errors.median:.1%}", *(f"{share:.0%}" for share in errors.within))


def _median(rows: pd.DataFrame, what: str = "latency") -> float:
    errors = errors_of(rows, what)
    return errors.median if errors else float("nan")


def _aim(what: str, limit: float, reached: float) -> tuple[str, ...]:
    return what, f"under {limit:.0%}", f"{reached:.1%}", "met" if reached < limit else "not met"


if __name__ == "__main__":
    main()
