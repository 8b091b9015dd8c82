"""`hwsim estimate`."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli._costed import ModelOrTable, RuntimeName, Settings, TargetNames, estimates
from hwsim.cli._options import Json
from hwsim.reports.terminal import out


def estimate(
    model: ModelOrTable,
    target: TargetNames = None,
    runtime: RuntimeName = None,
    settings: Settings = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            help="formats of weights side by side, with commas: 8, 4, lcq4, codebook3, pot4, apot4, ternary, binary;"
            " the first and the last layer keep theirs",
        ),
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", help="write one line per layer and target to this file")] = None,
    json: Json = False,
) -> None:
    """Tell what a network costs on targets: time, energy and memory, with a band and a source for every number."""
    from hwsim.reports.console import print_json
    from hwsim.reports.estimate import estimate_facts, print_estimates, write_csv

    found = estimates(model, target, runtime, settings, weights)
    if csv is not None:
        write_csv(found, csv)
    if json:
        print_json({"estimates": [estimate_facts(one) for one in found]})
    else:
        print_estimates(out, found)
