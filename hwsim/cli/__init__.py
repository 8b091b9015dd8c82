"""The command line. Exit status: 0 done (and exact), 1 a difference or a missed budget, 2 bad usage or bad input.

A file in this folder without a leading underscore is a command: it holds a function of its own name.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

import hwsim
from hwsim.errors import HwsimError
from hwsim.reports.terminal import err, out

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _print_version(asked: bool) -> None:
    if asked:
        out.print(f"hwsim {hwsim.__version__}", highlight=False)
        raise typer.Exit


@app.callback(no_args_is_help=True)
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="print the version and end")
    ] = False,
) -> None:
    """Run quantized neural networks in the exact integers of a named engine, and prove it."""


def _add_commands() -> None:
    for file in sorted(Path(__file__).parent.glob("[!_]*.py")):
        app.command()(getattr(import_module(f"{__name__}.{file.stem}"), file.stem))


def main() -> None:
    """Entry point of the `hwsim` command."""
    try:
        app(prog_name="hwsim", standalone_mode=True)
    except HwsimError as error:
        err.print(f"error: {error}", style="red", highlight=False, soft_wrap=True)
        sys.exit(2)
    except MemoryError as error:
        err.print(
            f"error: not enough memory ({error}); use fewer samples", style="red", highlight=False, soft_wrap=True
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


_add_commands()
