"""Loop tables: how many instructions of each class the body of a kernel's loops holds.

`hwsim/targets/loops/LIBRARY-ISA.csv`: columns kernel, per (the loop level), one per class of instruction, source.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hwsim.errors import InputError, unknown

FOLDER = Path(__file__).parents[1] / "targets" / "loops"
LEVELS = (
    *("mac", "inside", "output", "patch", "tap", "position", "row", "weight", "input", "layer"),
    *("tap_inside", "tap_beside", "line_inside", "line_beside"),
)


@dataclass(frozen=True, slots=True)
class Loop:
    """One level of a kernel's loop nest.

    Parameters
    ----------
    per : how often the body runs: once per multiply-accumulate, one of a tap inside the image, output element, element
        of a gathered patch, kernel tap of a position, output position, row of the output, weight, input element or
        layer; per output element, kernel tap inside the image or beside it (in a line that is inside), and line of the
        kernel inside or beside
    instructions : in the body, by class
    source : where the counts are from
    """

    per: str
    instructions: Mapping[str, float]
    source: str


@cache
def loops_of(library: str, isa: str) -> Mapping[str, tuple[Loop, ...]]:
    """The loop nests of a library's kernels on an instruction set, by kernel; InputError without such a table."""
    known = sorted(path.stem for path in FOLDER.glob("*.csv"))
    name = f"{library}-{isa}"
    if name not in known:
        raise InputError(unknown("loop table", name, known))
    table: dict[str, tuple[Loop, ...]] = {}
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kernel, per, source = row.pop("kernel"), row.pop("per"), row.pop("source")
            if per not in LEVELS:
                raise InputError(f"{name}.csv: {unknown('loop level', per, LEVELS)}")
            loop = Loop(per, {key: float(value) for key, value in row.items() if float(value)}, source)
            table[kernel] = (*table.get(kernel, ()), loop)
    return table
