"""`hwsim demo`."""

from pathlib import Path
from typing import Annotated

import typer

from hwsim.cli._options import Json
from hwsim.reports.terminal import announce_compilation, err, out


def demo(
    folder: Annotated[Path, typer.Option("--out", help="where to write the report")] = Path("hwsim-demo"),
    json: Json = False,
) -> None:
    """Run the network that hwsim brings, prove that it is exact, and write what it costs on three machines."""
    from hwsim.demo import run_demo

    announce_compilation()
    raise typer.Exit(run_demo(out, err, folder, as_json=json))
