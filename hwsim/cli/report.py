"""`hwsim report`."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli._costed import ModelOrTable, RuntimeName, Settings, TargetNames, estimates
from hwsim.cli._options import InputFile, Json
from hwsim.errors import InputError
from hwsim.reports.terminal import out


def report(
    model: ModelOrTable,
    target: TargetNames = None,
    runtime: RuntimeName = None,
    settings: Settings = None,
    input: InputFile = None,
    folder: Annotated[Path, typer.Option("--out", help="the folder to write into")] = Path("report"),
    json: Json = False,
) -> None:
    """Write what a network costs on targets as one HTML page, with a CSV of layers and a timeline for Perfetto."""
    from hwsim.reports.console import print_json
    from hwsim.reports.page import write_report
    from hwsim.verify.golden import read_inputs

    found = estimates(model, target, runtime, settings)
    graph = found[0].network.graph
    if input is not None and graph is None:
        raise InputError("--input needs a model; a table of layers cannot be run")
    path = write_report(found, folder, None if input is None or graph is None else read_inputs(graph, input))
    written = [str(path), str(folder / "layers.csv"), str(folder / "trace.json")]
    if json:
        print_json({"written": written})
    else:
        for name in written:
            out.print(name, highlight=False, soft_wrap=True)
