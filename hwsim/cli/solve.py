"""`hwsim solve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.cli._options import Json
from hwsim.errors import InputError
from hwsim.reports.terminal import native_output_to_stderr, out, progress_bar

if TYPE_CHECKING:
    import pandas as pd


def solve(
    table: Annotated[
        Path,
        typer.Option(help="CSV: layer, choice, degradation, and one column for each cost", show_default=False),
    ],
    budget: Annotated[
        list[str] | None, typer.Option(metavar="COST=LIMIT", help="in the column's own unit; may be repeated")
    ] = None,
    tie: Annotated[
        list[str] | None, typer.Option(metavar="LAYER,LAYER", help="layers that choose alike; may be repeated")
    ] = None,
    peak: Annotated[
        list[str] | None, typer.Option(metavar="COST", help="of which the largest counts, not the sum; may be repeated")
    ] = None,
    minimize: Annotated[str | None, typer.Option(metavar="COST", help="instead of the degradation")] = None,
    maximize: Annotated[str | None, typer.Option(metavar="GAIN", help="a column to make as large as possible")] = None,
    max_degradation: Annotated[float | None, typer.Option(help="a limit on the degradation")] = None,
    weight: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=WEIGHT", help="minimize the weighted sum; may be repeated")
    ] = None,
    sweep: Annotated[
        str | None, typer.Option(metavar="COST", help="the front of the degradation against this cost")
    ] = None,
    points: Annotated[int, typer.Option(min=2, help="budgets in the sweep")] = 20,
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="a folder for the sweep's CSV, JSON, SVG and PNG")
    ] = None,
    solver: Annotated[str, typer.Option(help="cbc, highs, or PuLP's name of another one here")] = "cbc",
    time_limit: Annotated[float, typer.Option(help="seconds for each program")] = 60.0,
    prices: Annotated[bool, typer.Option(help="solve again with each budget one unit larger")] = True,
    json: Json = False,
) -> None:
    """Choose for every layer one of its choices: the least degradation within all budgets, proven."""
    given: dict[str, Any] = {
        "table": read_csv(table),
        "budgets": _numbers("--budget", budget or []),
        "ties": [_tie(text) for text in tie or []],
        "peaks": peak or [],
        "solver": solver,
        "time_limit_s": time_limit,
    }
    aims: dict[str, Any] = {"minimize": minimize, "maximize": maximize, "max_degradation": max_degradation}
    aims |= {"weights": _numbers("--weight", weight or []) or None}
    if sweep is not None:
        _no_aims(aims)
        _sweep(given, sweep, points, out_folder, json)
    elif out_folder is not None:
        raise InputError("--out needs --sweep COST; an answer itself goes to standard output, with --json as JSON")
    else:
        _solve(given | aims, prices, json)


def _solve(given: dict[str, Any], prices: bool, json: bool) -> None:
    from hwsim.reports.console import print_json
    from hwsim.reports.solve import print_solution, solution_facts
    from hwsim.solver import solve_table

    with native_output_to_stderr():
        answer = solve_table(**given)
        facts = solution_facts(answer, prices)
    if json:
        print_json(facts)
    else:
        print_solution(out, answer, prices)
    raise typer.Exit(0 if answer.choice else 1)


def _sweep(given: dict[str, Any], over: str, points: int, folder: Path | None, json: bool) -> None:
    from hwsim.reports.console import print_json
    from hwsim.reports.pareto import write_sweep
    from hwsim.reports.solve import print_sweep
    from hwsim.solver import sweep_table

    with progress_bar("solving", points) as advance, native_output_to_stderr():
        front = sweep_table(**given, over=over, points=points, progress=advance)
    written = [] if folder is None else write_sweep(front, folder)
    if json:
        print_json(front.facts())
        return
    print_sweep(out, front)
    for path in written:
        out.print(f"wrote {path}", highlight=False, soft_wrap=True)


def read_csv(path: Path) -> "pd.DataFrame":
    """The table in a CSV file; layers and choices are text, whatever they look like."""
    import pandas as pd

    try:
        return pd.read_csv(path, converters={"layer": str.strip, "choice": str.strip})
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}; name a CSV file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} is not a CSV table: {str(error).strip()}") from None


def _numbers(option: str, texts: list[str]) -> dict[str, float]:
    """NAME=NUMBER texts as a dictionary."""
    numbers: dict[str, float] = {}
    for text in texts:
        name, equals, value = text.rpartition("=")
        if not (equals and name.strip()):
            raise InputError(f"{option} {text!r}; expected NAME=NUMBER, such as latency_ms=3")
        if name.strip() in numbers:
            raise InputError(f"{option} {name.strip()} is given twice; give it once")
        try:
            numbers[name.strip()] = float(value)
        except ValueError:
            hint = "; the unit is the column's own, so write the number alone" if value.strip()[:1].isdigit() else ""
            raise InputError(f"{option} {text!r}: {value!r} is not a number{hint}") from None
    return numbers


def _tie(text: str) -> list[str]:
    layers = [layer.strip() for layer in text.split(",")]
    if len(layers) < 2 or not all(layers):
        raise InputError(f"--tie {text!r}; expected two or more layers, LAYER,LAYER")
    return layers


def _no_aims(aims: dict[str, Any]) -> None:
    given = [name.replace("_", "-") for name, value in aims.items() if value is not None]
    if given:
        option = "weight" if given[0] == "weights" else given[0]
        raise InputError(f"--sweep minimizes the degradation; it does not go with --{option}")
