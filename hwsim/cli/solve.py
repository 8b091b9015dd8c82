"""`hwsim solve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwsim.cli._costed import RuntimeName
from hwsim.cli._options import Json
from hwsim.cli._solving import layers_at, solve_network
from hwsim.errors import InputError
from hwsim.reports.terminal import native_output_to_stderr, out, progress_bar

if TYPE_CHECKING:
    import pandas as pd


def solve(
    model: Annotated[Path | None, typer.Argument(help="a float network, .tflite or .hwsim", show_default=False)] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="instead of MODEL, a CSV: layer, choice, degradation, and one column for each cost"),
    ] = None,
    target: Annotated[str | None, typer.Option(help="NAME, NAME@BOARD or a .toml file; `hwsim targets`")] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="samples: .npy, or .npz with arrays under input names or input_0, ...")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="their classes, .npy or .npz; default: the network's own")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="of one run")] = None,
    max_energy_uj: Annotated[float | None, typer.Option(help="of one run")] = None,
    max_flash_kib: Annotated[float | None, typer.Option(help="of constants")] = None,
    max_sram_kib: Annotated[float | None, typer.Option(help="of activations at the worst moment")] = None,
    max_gbops: Annotated[float | None, typer.Option(help="10^9 bit-operations")] = None,
    choices: Annotated[
        str | None, typer.Option(help="w8a8,w4a8: bits of weights and activations; default: all that the target runs")
    ] = None,
    measure: Annotated[str | None, typer.Option(help="of the degradation: loss, kl or sqnr")] = None,
    free_ends: Annotated[bool, typer.Option("--free-ends", help="do not keep first and last layer at 8 bits")] = False,
    runtime: RuntimeName = None,
    engine: Annotated[str | None, typer.Option(help="whose integers; default: the target's")] = None,
    pipeline: Annotated[
        str | None,
        typer.Option(help="minmse, light or advanced, on each layer before it is measured and at the end"),
    ] = None,
    report: Annotated[Path | None, typer.Option(help="a folder for the integer network's report")] = None,
    cache: Annotated[bool, typer.Option(help="keep measured degradations in the user's cache")] = True,
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
    output: Annotated[
        Path | None, typer.Option("--out", help="the integer network, .hwsim; of a sweep, a folder for its files")
    ] = None,
    solver: Annotated[str, typer.Option(help="cbc, highs, or PuLP's name of another one here")] = "cbc",
    time_limit: Annotated[float, typer.Option(help="seconds for each program")] = 60.0,
    prices: Annotated[bool, typer.Option(help="solve again with each budget one unit larger")] = True,
    json: Json = False,
) -> None:
    """Choose for every layer one of its choices: the least degradation within all budgets, proven."""
    named = {
        "latency_ms": max_latency_ms,
        "energy_uj": max_energy_uj,
        "flash_kib": max_flash_kib,
        "sram_kib": max_sram_kib,
        "gbops": max_gbops,
    }
    limits = {name: limit for name, limit in named.items() if limit is not None}
    network: dict[str, Any] = {
        "model": model,
        "target": target,
        "calibration": calibration,
        "labels": labels,
        "choices": choices,
        "measure": measure,
        "pin_ends": not free_ends,
        "runtime": runtime,
        "engine": engine,
        "cache": cache,
        "pipeline": pipeline,
    }
    layers = None
    if table is None:
        layers = layers_at(network)
        frame, ties, peaks = layers.table, [*layers.ties], [*layers.peaks]
    else:
        _only_a_table(network, limits, report)
        frame, ties, peaks = read_csv(table), [], []
    given: dict[str, Any] = {
        "table": frame,
        "budgets": limits | _numbers("--budget", budget or []),
        "ties": ties + [_tie(text) for text in tie or []],
        "peaks": peaks + (peak or []),
        "solver": solver,
        "time_limit_s": time_limit,
    }
    aims: dict[str, Any] = {"minimize": minimize, "maximize": maximize, "max_degradation": max_degradation}
    aims |= {"weights": _numbers("--weight", weight or []) or None}
    if sweep is not None:
        _no_aims(aims)
        _sweep(given, sweep, points, output, json)
    elif layers is not None:
        solve_network(layers, given | aims, prices, output, report, json, pipeline)
    elif output is not None:
        raise InputError("--out needs --sweep COST; an answer itself goes to standard output, with --json as JSON")
    else:
        _solve(given | aims, prices, json)


def _only_a_table(network: dict[str, Any], limits: dict[str, float], report: Path | None) -> None:
    """Raise InputError where options of a network are given beside --table."""
    options = {k: v for k, v in network.items() if v is not None and k not in ("pin_ends", "cache")}
    given = [*options, *(f"max_{name}" for name in limits), *(["report"] if report else [])]
    if given:
        name = "MODEL" if given[0] == "model" else f"--{given[0].replace('_', '-')}"
        raise InputError(f"{name} does not go with --table, whose numbers are all there is; use --budget COST=LIMIT")


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
