"""The command line. Exit status: 0 done (and exact), 1 a difference, 2 bad usage or bad input."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

import hwsim
from hwsim.errors import HwsimError, InputError

if TYPE_CHECKING:
    from hwsim.graph import Graph

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Run quantized neural networks in the exact integers of a named engine, and prove it.",
)
out = Console(markup=False, emoji=False)
err = Console(stderr=True, markup=False, emoji=False)

Model = Annotated[Path, typer.Argument(help="a .tflite or .hwsim file", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")]
InputFile = Annotated[
    Path | None, typer.Option("--input", help=".npy, or .npz with arrays under input names; default: random codes")
]
Samples = Annotated[int, typer.Option(min=1, help="how many random samples, where no --input is given")]
Seed = Annotated[int, typer.Option(min=0, help="of the random samples")]
EngineName = Annotated[str | None, typer.Option("--engine", help="whose arithmetic; `hwsim engines` lists them")]


@app.command()
def demo(json: Json = False) -> None:
    """Run the network that hwsim brings, and prove that it is exact."""
    from hwsim.demo import run_demo

    _announce_compilation()
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
    _announce_compilation()
    graph = hwsim.load(model)
    x = _inputs(graph, input, samples, seed)
    with _progress("running", _rows(x)) as advance:
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
    model: Model,
    against: Annotated[
        str | None, typer.Option(help="the real engine to run; default: the one that --engine simulates")
    ] = None,
    golden: Annotated[
        Path | None, typer.Option(help="recorded tensors, .npz under tensor names, instead of a real engine")
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
    if golden is None and against is None and engine is None:
        raise InputError(
            "--against is missing; name a real engine (`hwsim engines` lists them) or give --golden FILE.npz"
        )
    _announce_compilation()
    graph = hwsim.load(model)
    simulated = engine or against or "litert-reference"
    x = None if golden is not None and input is None else _inputs(graph, input, samples, seed, extremes=True)
    with _progress("verifying", _rows(x or [])) as advance:
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
    with _progress("timing", len(set(batches)) * len(set(counts))) as advance:
        benchmark = measure(
            graph,
            engine,
            batches=batches,
            threads=counts,
            seconds=seconds,
            progress=advance,
            on_compilation=_say_compiling,
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


def _inputs(graph: "Graph", file: Path | None, samples: int, seed: int, extremes: bool = False) -> list[Any]:
    from hwsim.graph.probes import probe_inputs, random_inputs
    from hwsim.importers.arrays import read_arrays

    if file is None:
        return probe_inputs(graph, samples, seed) if extremes else random_inputs(graph, samples, seed)
    arrays = read_arrays(file)
    names = [graph.tensors[i].name for i in graph.inputs]
    if len(names) == 1 and len(arrays) == 1:
        return list(arrays.values())
    for name in names:
        if name not in arrays:
            raise InputError(f"{file}: has no array {name!r}; it has {', '.join(arrays)}")
    return [arrays[name] for name in names]


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


def _announce_compilation() -> None:
    from hwsim.kernels import on_compilation

    on_compilation(_say_compiling)


def _say_compiling() -> None:
    err.print("compiling kernels for this machine; the next run finds them on disk", style="dim")


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    with Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
