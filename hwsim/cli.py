"""The command line. Exit status: 0 done (and exact), 1 a difference, 2 bad usage or bad input."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import hwsim
from hwsim.errors import HwsimError, InputError
from hwsim.reports.terminal import announce_compilation, err, out, progress_bar, say_compiling

if TYPE_CHECKING:
    from hwsim.graph import Graph
    from hwsim.verify import Check

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Model = Annotated[Path, typer.Argument(help="a .tflite or .hwsim file", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")]
InputFile = Annotated[
    Path | None,
    typer.Option("--input", help=".npy, or .npz with arrays under input names or input_0, ...; default: random codes"),
]
Samples = Annotated[int, typer.Option(min=1, help="how many random samples, where no --input is given")]
Seed = Annotated[int, typer.Option(min=0, help="of the random samples")]
EngineName = Annotated[str | None, typer.Option("--engine", help="whose arithmetic; `hwsim engines` lists them")]


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


@app.command()
def demo(json: Json = False) -> None:
    """Run the network that hwsim brings, and prove that it is exact."""
    from hwsim.demo import run_demo

    announce_compilation()
    raise typer.Exit(run_demo(out, err, as_json=json))


@app.command()
def info(model: Model, json: Json = False) -> None:
    """Show a network's nodes, and which engines can run it."""
    from hwsim.reports.console import graph_facts, print_graph, print_json

    facts = graph_facts(hwsim.load(model))
    if json:
        print_json(facts)
    else:
        print_graph(out, facts)


@app.command()
def run(
    model: Model,
    engine: EngineName = None,
    input: InputFile = None,
    output: Annotated[Path | None, typer.Option("--out", help="write outputs to this .npz, under tensor names")] = None,
    keep_tensors: Annotated[bool, typer.Option("--keep-tensors", help="write every intermediate too")] = False,
    samples: Samples = 1,
    seed: Seed = 0,
    threads: Annotated[int, typer.Option(min=1, help="threads to spread the samples over")] = 1,
    json: Json = False,
) -> None:
    """Run a network in an engine's arithmetic."""
    from hwsim.reports.console import print_json, print_run, run_facts

    if engine is None:
        raise InputError("--engine is missing; `hwsim engines` lists them, for instance --engine litert-reference")
    announce_compilation()
    graph = hwsim.load(model)
    x = _inputs(graph, input, samples, seed)
    with progress_bar("running", _rows(x)) as advance:
        result = hwsim.simulate(graph, x, engine, keep_tensors=keep_tensors, threads=threads, progress=advance)
    if output is not None:
        named = {graph.tensors[i].name: value for i, value in zip(graph.outputs, result.outputs, strict=True)}
        _write_arrays(output, {**named, **result.tensors})
    facts = run_facts(graph, result)
    if json:
        print_json(facts)
    else:
        print_run(out, facts)


@app.command()
def verify(
    model: Annotated[
        Path | None, typer.Argument(help="a .tflite or .hwsim file; with --golden LAYER.npz none", show_default=False)
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="the real engine to run; default: the one that --engine simulates")
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option(help=".npz with recorded tensors under their names, or without MODEL one layer (docs/verify.md)"),
    ] = None,
    engine: EngineName = None,
    input: InputFile = None,
    samples: Samples = 20,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Compare every tensor with a real engine or a recording; explain the first difference."""
    from hwsim.reports.console import check_facts, print_check, print_json

    if golden is not None and against is not None:
        raise InputError("--golden and --against exclude each other; give one of them")
    announce_compilation()
    if model is None:
        check = _verify_layer(golden, engine, input)
    elif golden is None and against is None and engine is None:
        raise InputError(
            "--against is missing; name a real engine (`hwsim engines` lists them) or give --golden FILE.npz"
        )
    else:
        graph = hwsim.load(model)
        simulated = engine or against or "litert-reference"
        x = None if golden is not None and input is None else _inputs(graph, input, samples, seed, extremes=True)
        with progress_bar("verifying", _rows(x or [])) as advance:
            check = hwsim.verify(graph, x, engine=simulated, against=golden or against, progress=advance)
    if json:
        print_json(check_facts(check))
    else:
        print_check(out, check)
    raise typer.Exit(0 if check.exact else 1)


@app.command()
def engines(json: Json = False) -> None:
    """List the engines whose arithmetic hwsim knows."""
    from hwsim.reports.console import print_engines, print_json

    if json:
        print_json(
            {
                e.name: {"summary": e.summary, "processor": e.processor, "source": e.source}
                for e in hwsim.engines().values()
            }
        )
    else:
        print_engines(out)


@app.command()
def bench(
    model: Model,
    engine: Annotated[str, typer.Option("--engine", help="whose arithmetic hwsim uses")] = "litert-reference",
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="samples in a call; may be repeated; default: 1 and 64")
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="threads to use; may be repeated; default: 1 and 2")
    ] = None,
    seconds: Annotated[float, typer.Option(help="how long to time everybody in each cell, about")] = 1.0,
    json: Json = False,
) -> None:
    """Time hwsim beside the real engines that are installed, in one run."""
    from hwsim.reports.bench import bench_facts, print_bench
    from hwsim.reports.console import print_json
    from hwsim.verify.bench import measure

    graph, batches, counts = hwsim.load(model), batch or [1, 64], threads or [1, 2]
    with progress_bar("timing", len(set(batches)) * len(set(counts))) as advance:
        benchmark = measure(
            graph,
            engine,
            batches=batches,
            threads=counts,
            seconds=seconds,
            progress=advance,
            on_compilation=say_compiling,
        )
    if json:
        print_json(bench_facts(benchmark))
    else:
        print_bench(out, benchmark)


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


def _verify_layer(golden: Path | None, engine: str | None, input: Path | None) -> "Check":
    from hwsim.verify import verify_layer

    if golden is None:
        raise InputError("MODEL is missing; name a .tflite or .hwsim file, or give --golden LAYER.npz with one layer")
    if input is not None:
        raise InputError("--input needs a MODEL; a layer's input is in the --golden file itself")
    return verify_layer(golden, engine=engine or "litert-reference")


def _inputs(graph: "Graph", file: Path | None, samples: int, seed: int, extremes: bool = False) -> list[Any]:
    from hwsim.graph.probes import probe_inputs, random_inputs
    from hwsim.verify.golden import read_inputs

    if file is not None:
        return read_inputs(graph, file)
    return probe_inputs(graph, samples, seed) if extremes else random_inputs(graph, samples, seed)


def _rows(x: list[Any]) -> int:
    return max((len(array) for array in x if array.ndim), default=1)


def _write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    import zipfile

    from numpy.lib import format as npy

    temporary = path.parent / f".{path.name}.part"
    try:
        # not numpy.savez, whose own parameters are names that a tensor may have
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, value in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, value, allow_pickle=False)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with suppress(OSError):
            temporary.unlink()
