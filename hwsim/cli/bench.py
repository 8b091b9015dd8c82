"""`hwsim bench`."""

from typing import Annotated

import typer

import hwsim
from hwsim.cli._options import Json, Model
from hwsim.reports.terminal import out, progress_bar, say_compiling


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
