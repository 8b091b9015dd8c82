"""`hwsim verify`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import hwsim
from hwsim.cli._costed import TargetNames, machines
from hwsim.cli._options import EngineName, InputFile, Json, Samples, Seed, Stateful, inputs, rows
from hwsim.errors import InputError
from hwsim.reports.terminal import announce_compilation, out, progress_bar

if TYPE_CHECKING:
    from hwsim.verify import Check


def verify(
    model: Annotated[
        Path | None,
        typer.Argument(
            help="a .tflite or .hwsim file, or a folder with a data set of CMSIS-NN; with --golden LAYER.npz none",
            show_default=False,
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="the real engine to run; default: the one that --engine simulates")
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(help=".npz with recorded tensors under their names, or without MODEL one layer (docs/verify.md)"),
    ] = None,
    engine: EngineName = None,
    other: Annotated[
        str | None, typer.Option("--simulated", help="an engine to simulate and compare with, in place of a real one")
    ] = None,
    input: InputFile = None,
    samples: Samples = 20,
    seed: Seed = 0,
    stateful: Stateful = False,
    sums: Annotated[
        bool, typer.Option(help="follow every layer's sum, to say how wide it got, not only can get")
    ] = True,
    target: TargetNames = None,
    json: Json = False,
) -> None:
    """Compare every tensor with a real engine or a recording; explain the first difference."""
    from hwsim.reports.console import check_facts, print_check, print_json
    from hwsim.verify import verify_data_set

    if sum(option is not None for option in (golden, against, other)) > 1:
        raise InputError("--golden, --against and --simulated exclude each other; give one of them")
    announce_compilation()
    if model is not None and model.is_dir():
        if any(option is not None for option in (golden, against, other, input)):
            raise InputError(f"{model}: is a folder, whose data set has its own input and output; give --engine only")
        check = verify_data_set(model, engine=engine or "cmsis-nn")
    elif model is None:
        check = _verify_layer(golden, engine, input)
    elif golden is None and against is None and engine is None and other is None:
        raise InputError(
            "--against is missing; name a real engine (`hwsim engines` lists them) or give --golden FILE.npz"
        )
    else:
        graph = hwsim.load(model)
        simulated = engine or against or "litert-reference"
        x = None if golden is not None and input is None else inputs(graph, input, samples, seed, extremes=True)
        with progress_bar("verifying", rows(x or [])) as advance:
            reference = hwsim.compile(graph, other) if other else golden or against
            check = hwsim.verify(
                graph, x, engine=simulated, against=reference, stateful=stateful, sums=sums, progress=advance
            )
    if json:
        print_json(check_facts(check, machines(target)))
    else:
        print_check(out, check, machines(target))
    raise typer.Exit(0 if check.agrees else 1)


def _verify_layer(golden: Path | None, engine: str | None, input: Path | None) -> "Check":
    from hwsim.verify import verify_layer

    if golden is None:
        raise InputError("MODEL is missing; name a .tflite or .hwsim file, or give --golden LAYER.npz with one layer")
    if input is not None:
        raise InputError("--input needs a MODEL; a layer's input is in the --golden file itself")
    return verify_layer(golden, engine=engine or "litert-reference")
