"""`hwsim quantize`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import hwsim
from hwsim.cli._costed import RuntimeName
from hwsim.cli._options import Json, Model
from hwsim.errors import InputError
from hwsim.reports.terminal import announce_compilation, err, out, progress_bar

if TYPE_CHECKING:
    from hwsim.ptq.pipeline import Quantized


def quantize(
    model: Model,
    calibration: Annotated[Path, typer.Option(help=".npz with samples: 'x', or one array for each input's name")],
    output: Annotated[Path, typer.Option("--out", help="the .hwsim file to write")],
    engine: Annotated[str, typer.Option(help="whose integers; `hwsim engines` lists them")] = "dyadic",
    weights: Annotated[int, typer.Option(min=2, max=8, help="bits of weights; first and last layer have 8")] = 8,
    widths: Annotated[
        str | None,
        typer.Option(help="2,4,8: bits to choose among, layer by layer; default with a budget: all from 2 to 8"),
    ] = None,
    activations: Annotated[int, typer.Option(min=2, max=8, help="bits of what layers read")] = 8,
    group: Annotated[
        int | None, typer.Option(min=1, help="so many weights of up to 5 bits share an integer scale (VS-Quant)")
    ] = None,
    pipeline: Annotated[str, typer.Option(help="minmse, light (no backward pass) or advanced")] = "light",
    steps: Annotated[str | None, typer.Option(help="names of steps with commas, instead of a pipeline's")] = None,
    ranges: Annotated[str, typer.Option(help="min_max, percentile, mse or entropy")] = "mse",
    max_weights_kib: Annotated[float | None, typer.Option(help="of all weights, packed")] = None,
    max_latency_ms: Annotated[float | None, typer.Option(help="of one run on the target")] = None,
    max_energy_uj: Annotated[float | None, typer.Option(help="of one run on the target")] = None,
    max_flash_kib: Annotated[float | None, typer.Option(help="of constants on the target")] = None,
    max_degradation: Annotated[
        float | None, typer.Option(help="the smallest weights that diverge from the float answers by no more, in nats")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="where budgets are kept: NAME, NAME@BOARD or a .toml file; `hwsim targets`")
    ] = None,
    runtime: RuntimeName = None,
    parallel: Annotated[bool, typer.Option("--parallel", help="fit each layer to the float network's values")] = False,
    labels: Annotated[
        Path | None, typer.Option(help=".npz with 'x' and 'y' to judge by after every step; nothing is learned from it")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="use the first so many calibration samples")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="file to go on from, written after every step")] = None,
    seed: Annotated[int, typer.Option(min=0, help="of every draw")] = 0,
    json: Json = False,
) -> None:
    """Quantize a float network to integers from a few hundred samples, and say what each step bought.

    All layers but the first and the last have --weights bits. With --widths or a --max-... option light and advanced
    choose the weights' bits layer by layer instead: the least degradation within the budgets, by default the bytes that
    uniform --weights bits take.
    """
    from hwsim.ptq.choose import Widths
    from hwsim.reports.console import print_json
    from hwsim.reports.ptq import print_quantized, quantized_facts
    from hwsim.solver.quantize import costs, quantize_network

    announce_compilation()
    graph, data = hwsim.load(model), _read(calibration)
    x: Any = data["x"] if "x" in data and len(graph.inputs) == 1 else data
    if samples is not None:
        x = {name: value[:samples] for name, value in x.items()} if isinstance(x, dict) else x[:samples]
    limits = {
        "weights_kib": max_weights_kib,
        "latency_ms": max_latency_ms,
        "energy_uj": max_energy_uj,
        "flash_kib": max_flash_kib,
    }
    budgets = {name: limit for name, limit in limits.items() if limit is not None}
    found: Quantized = quantize_network(
        graph,
        x,
        choices=None if widths is None else _widths(widths),
        budgets=budgets,
        max_degradation=max_degradation,
        target=target,
        runtime=runtime,
        sequential=not parallel,
        widths=Widths(weights, activations, group=group),
        engine=engine,
        pipeline=pipeline,
        steps=None if steps is None else [name.strip() for name in steps.split(",") if name.strip()],
        ranges=ranges,
        labelled=None if labels is None else _labelled(labels),
        checkpoint=checkpoint,
        seed=seed,
        bar=progress_bar,
    )
    found.graph.save(output)
    facts = quantized_facts(found, output, costs(found, target, runtime), budgets)
    if json:
        print_json(facts)
    else:
        print_quantized(out, facts)
        err.print(f"wrote {output}", style="dim", highlight=False, soft_wrap=True)
    raise typer.Exit(1 if facts["missed"] else 0)


def _widths(text: str) -> list[int]:
    """The numbers in '2,4,8'."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise InputError(f"--widths {text!r}; expected bits with commas, such as 2,4,8")
    return [int(word) for word in words]


def _read(path: Path) -> dict[str, Any]:
    """The arrays of a .npz, none of them pickled."""
    import zipfile

    import numpy as np

    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise InputError(f"{path}: one array without a name; expected a .npz with 'x'")
        with file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read as .npz ({error})") from None


def _labelled(path: Path) -> tuple[Any, Any]:
    arrays = _read(path)
    if not {"x", "y"} <= set(arrays):
        raise InputError(
            f"{path}: holds {', '.join(sorted(arrays)) or 'nothing'}; expected 'x' (samples), 'y' (classes)"
        )
    return arrays["x"], arrays["y"]
