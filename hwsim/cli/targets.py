"""`hwsim targets`."""

from typing import Annotated

import typer

import hwsim
from hwsim.cli._options import Json
from hwsim.reports.terminal import out


def targets(
    name: Annotated[
        str | None, typer.Argument(help="a target, or the path of a .toml file: show its numbers", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """List the machines whose costs hwsim knows, or one with every number and its source."""
    from hwsim.reports.console import print_json
    from hwsim.reports.targets import print_target, print_targets, target_facts
    from hwsim.targets import target

    if name is not None:
        found = target(name)
        if json:
            print_json(target_facts(found))
        else:
            print_target(out, found)
    elif json:
        print_json({key: target_facts(value) for key, value in hwsim.targets().items()})
    else:
        print_targets(out, hwsim.targets())
