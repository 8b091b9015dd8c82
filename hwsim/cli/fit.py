"""`hwsim fit`."""

from pathlib import Path
from typing import Annotated

import typer

import hwsim
from hwsim.cli._costed import network_at
from hwsim.cli._options import Json
from hwsim.errors import InputError
from hwsim.reports.terminal import out, progress_bar


def fit(
    files: Annotated[
        list[str], typer.Argument(help="TARGET.toml (or names, several share their runtimes) and MEASUREMENTS.csv")
    ],
    hold_out: Annotated[str, typer.Option(help="judge by rows of an unseen device, network, or none")] = "device",
    folder: Annotated[Path, typer.Option("--out", help="where to write the fitted targets")] = Path("fitted"),
    json: Json = False,
) -> None:
    """Fit a target's free constants to measurements, and say how well it predicts devices that it never saw."""
    from hwsim.cost_models.fit import count_fits
    from hwsim.cost_models.fitted_file import fitted_file
    from hwsim.cost_models.measurements import NETWORK_SUFFIXES, read_measurements, shipped_network
    from hwsim.reports.console import print_json
    from hwsim.reports.files import write_text
    from hwsim.reports.fit import fit_facts, print_fit
    from hwsim.targets import target

    if len(files) < 2 or not files[-1].endswith(".csv"):
        raise InputError("expected one TARGET or more and then MEASUREMENTS.csv: hwsim fit cortex-m4 boards.csv")
    table = Path(files[-1])
    rows = read_measurements(table)
    machines = [target(name) for name in files[:-1]]

    def load(name: str) -> "hwsim.cost_models.Network":
        return network_at(Path(name)) if Path(name).suffix in NETWORK_SUFFIXES else shipped_network(name)

    with progress_bar("fitting", count_fits(rows, hold_out)) as advance:
        found = hwsim.fit(machines, rows, hold_out=hold_out, load=load, progress=advance)
    written = [folder / f"{machine.name}.toml" for machine in machines]
    for machine, path in zip(machines, written, strict=True):
        write_text(path, fitted_file(found, machine, table.name))
    if json:
        print_json({**fit_facts(found), "written": [str(path) for path in written]})
    else:
        print_fit(out, found, written)
