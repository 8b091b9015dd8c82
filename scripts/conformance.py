"""Write docs/conformance.md: every operator, in every dtype, under every engine, against the real engine.

    python scripts/conformance.py [--models 200] [--only conv2d add ...]

For each operator and dtype random models of that one operator are made (`tests.random_graphs`: shapes, strides,
paddings, dilations, groups, zero points, coarse and fine scales, shifts both ways, activations, ties on purpose). They
lie side by side in a file, which the real engine runs in a child process and hwsim simulates; every element is
compared. Where hwsim says that an engine cannot run the operator, one model is put to the real engine, which must
refuse it. With --only the page keeps its other rows; with another number of models nothing is written. The exit status
is 1 if anything differs.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import hwsim
from hwsim.engines import Engine, real_engines
from hwsim.errors import HwsimError, ReferenceEngineError, UnsupportedError
from hwsim.importers.tflite_writer import to_tflite
from hwsim.reports.markdown import table
from hwsim.verify.reference import installed, run_reference

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from tests.random_graphs import MAKERS, dtypes, inputs_for, many, plain_dtypes  # noqa: E402
from tests.random_more import STATEFUL  # noqa: E402

MODELS, FILE_MODELS, SAMPLES, SEED = 200, 100, 3, 2026
FEWER = {"detection_postprocess": 50}
"""Models in a file where 100 have more constants than TFLM takes, which is 1024."""

PAGE = ROOT / "docs" / "conformance.md"


@dataclass(frozen=True)
class Cell:
    """What came of one operator in one dtype under one engine.

    models, elements, differing : compared
    refused : why hwsim does not run it; `real` then says whether the real engine refuses it too
    """

    op: str
    dtype: str
    engine: str
    models: int = 0
    elements: int = 0
    differing: int = 0
    refused: str = ""
    real: str = ""

    def __str__(self) -> str:
        if self.refused:
            return "refused by both" if self.real else "**refused by hwsim alone**"
        return f"{self.differing} of {self.elements:,}"

    @classmethod
    def of(cls, op: str, dtype: str, engine: str, text: str) -> "Cell":
        """The cell that the page shows as `text`."""
        if text.startswith("refused by both"):
            return cls(op, dtype, engine, refused=text, real=text)
        if text.startswith("**refused"):
            return cls(op, dtype, engine, refused=text)
        differing, elements = (int(number.replace(",", "")) for number in text.split(" of "))
        return cls(op, dtype, engine, MODELS, elements, differing)


def main() -> int:
    """Run everything, then write the page; 1 if something differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=MODELS, help="random models for each operator, dtype and engine")
    parser.add_argument("--only", nargs="*", default=[], help="operators, or OPERATOR:DTYPE")
    options = parser.parse_args()
    kept = kept_cells(PAGE.read_text(), options.only) if options.only and options.models == MODELS else []
    cells = list(every_cell(options.only or sorted(MAKERS), options.models))
    if options.models == MODELS:
        PAGE.write_text(page([*kept, *cells]))
    return int(any(cell.differing for cell in cells))


def kept_cells(text: str, only: list[str]) -> list[Cell]:
    """What the page says of what is not run again; HwsimError where it tells of other engines."""
    if versions() not in text:
        raise HwsimError(f"{PAGE.name} is not about {versions()}; run every operator again, without --only")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")]
    start = next(i for i, row in enumerate(rows) if row[0] == "operator")
    engines, found = rows[start][2:], []
    end = next((i for i, row in enumerate(rows) if row[-1] == "why"), len(rows))
    for op, dtype, *cells in rows[start + 2 : end]:
        found += [Cell.of(op, dtype, engine, cell) for engine, cell in zip(engines, cells, strict=True)]
    for op, dtype, engine, why in rows[end + 2 :]:
        found = [cell for cell in found if (cell.op, cell.dtype, cell.engine) != (op, dtype, engine)]
        found.append(Cell(op, dtype, engine, refused=why))
    for line in re.findall(r"^No engine runs: (.*)\.$", text, re.MULTILINE):
        pairs = [pair.split(" ") for pair in line.split(", ")]
        found += [Cell.of(op, dtype, engine, "refused by both") for op, dtype in pairs for engine in engines]
    again = set(cases(only))
    return [cell for cell in found if (cell.op, cell.dtype) in set(cases(MAKERS)) - again]


def cases(only: Iterable[str]) -> list[tuple[str, str]]:
    """Operators and dtypes; of 'OPERATOR:DTYPE' that one alone."""
    split = [name.partition(":") for name in only]
    every = [(op, wanted or dtype) for op, _, wanted in split for dtype in (*dtypes(op), *plain_dtypes(op))]
    return list(dict.fromkeys(every))


def versions() -> str:
    """The real engines' packages."""
    return ", ".join(sorted({f"{e.package} {installed(e)}" for e in real_engines().values() if e.package}))


def every_cell(ops: Iterable[str], models: int) -> Iterator[Cell]:
    """Every operator, dtype and engine."""
    wanted = [(op, dtype, engine) for op, dtype in cases(ops) for engine in real_engines().values()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the work is done in child processes
        for cell in pool.map(lambda case: compared(*case, models), wanted):
            print(cell.op, cell.dtype, cell.engine, cell, cell.refused, flush=True)
            yield cell


def compared(op: str, dtype: str, engine: Engine, models: int) -> Cell:
    """Run `models` of them in files of `FILE_MODELS`."""
    elements, differing, size = 0, 0, FEWER.get(op, FILE_MODELS)
    for start in range(0, models, size):
        graph = many(op, dtype, min(size, models - start), seed=SEED + start)
        try:
            check = hwsim.verify(graph, inputs_for(graph, SAMPLES, seed=start), engine=engine, stateful=op in STATEFUL)
        except UnsupportedError as error:
            return Cell(op, dtype, engine.name, refused=str(error), real=refusal(op, dtype, engine))
        elements += sum(record.elements for record in check.tensors)
        differing += sum(record.differing for record in check.tensors)
        if check.compared != len(check.tensors):
            missing = next(record for record in check.tensors if record.missing)
            raise HwsimError(f"{op} {dtype}: {engine.name} gives no value of {missing.tensor!r}: {missing.missing}")
        if not check.exact:
            print(check.explanation, flush=True)
    return Cell(op, dtype, engine.name, models, elements, differing)


def refusal(op: str, dtype: str, engine: Engine) -> str:
    """Why the real engine refuses one such model; nothing if it runs it."""
    graph = many(op, dtype, 1, seed=SEED)
    inputs = [
        x.reshape(-1, *graph.tensors[i].shape)[:1] for x, i in zip(inputs_for(graph, 1), graph.inputs, strict=True)
    ]
    try:
        run_reference(engine, to_tflite(graph), inputs, keep_tensors=False)
    except ReferenceEngineError as error:
        return str(error)
    return ""


def page(cells: list[Cell]) -> str:
    """The page."""
    engines, order = list(real_engines()), cases(sorted(MAKERS))
    cells = sorted(cells, key=lambda cell: order.index((cell.op, cell.dtype)))
    ran = [cell for cell in cells if not cell.refused]
    found = {(cell.op, cell.dtype, cell.engine): str(cell) for cell in cells}
    rows = [
        [op, dtype, *(found[op, dtype, engine] for engine in engines)]
        for op, dtype in dict.fromkeys((cell.op, cell.dtype) for cell in cells)
    ]
    kept = [row for row in rows if any(str(value)[0].isdigit() for value in row[2:])]
    nobody = [f"{row[0]} {row[1]}" for row in rows if row not in kept]
    alone = [[cell.op, cell.dtype, cell.engine, cell.refused] for cell in cells if cell.refused and not cell.real]
    parts = [
        "# Conformance, operator by operator",
        f"Written by `make conformance`; engines: {versions()}. For each "
        f"operator, dtype and engine {MODELS} random models of that operator alone, with {SAMPLES} random inputs and "
        "all-minimum, all-maximum and zero-point inputs each: elements that differ, of all. "
        f"In all {sum(cell.models for cell in ran):,} runs of models, {sum(cell.elements for cell in ran):,} elements, "
        f"{sum(cell.differing for cell in ran):,} differ.",
        "A dtype like `int16_int32` means int16 activations with int32 sums (int64 ones otherwise), `int8_int4` int4 "
        "weights (`int8_channels_int4`: with a scale per channel), `int16_int8` of QUANTIZE from one to the other and "
        "of BATCH_MATMUL the two matrices, `int8_state` an SVDF whose state is int8. Refused by both: hwsim says that "
        "the engine cannot run it, and the engine refuses it.",
        table(["operator", "dtype", *engines], kept),
        f"No engine runs: {', '.join(nobody)}." if nobody else "",
        "## Run by the engine, refused by hwsim" if alone else "",
        table(["operator", "dtype", "engine", "why"], alone) if alone else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


if __name__ == "__main__":
    sys.exit(main())
