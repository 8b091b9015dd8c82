"""`hwsim report`."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli._costed import ModelOrTable, RuntimeName, Settings, TargetNames, estimates
from hwsim.cli._options import Json
from hwsim.reports.terminal import out


def report(
    model: ModelOrTable,
    target: TargetNames = None,
    runtime: RuntimeName = None,
    settings: Settings = None,
    folder: Annotated[Path, typer.Option("--out", help="the folder to write into")] = Path("report"),
    json: Json = False,
) -> None:
    """Write what a network costs on targets as one HTML page, with a CSV of layers and a timeline for Perfetto."""
    from hwsim.reports.console import print_json
    from hwsim.reports.page import write_report

    path = write_report(estimates(model, target, runtime, settings), folder)
    written = [str(path), str(folder / "layers.csv"), str(folder / "trace.json")]
    if json:
        print_json({"written": written})
    else:
        for name in written:
            out.print(name, highlight=False, soft_wrap=True)
