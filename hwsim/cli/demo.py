"""`hwsim demo`."""

import typer

from hwsim.cli._options import Json
from hwsim.reports.terminal import announce_compilation, err, out


def demo(json: Json = False) -> None:
    """Run the network that hwsim brings, and prove that it is exact."""
    from hwsim.demo import run_demo

    announce_compilation()
    raise typer.Exit(run_demo(out, err, as_json=json))
