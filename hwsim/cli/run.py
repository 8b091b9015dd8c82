"""`hwsim run`."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import hwsim
from hwsim.cli._options import EngineName, InputFile, Json, Model, Samples, Seed, Stateful, inputs, rows
from hwsim.errors import InputError
from hwsim.reports.terminal import announce_compilation, out, progress_bar

if TYPE_CHECKING:
    from hwsim.graph import Graph
    from hwsim.simulate import Run


def run(
    model: Model,
    engine: EngineName = None,
    target: Annotated[
        str | None, typer.Option(help="the machine: its engine's arithmetic, and what it costs there; `hwsim targets`")
    ] = None,
    input: InputFile = None,
    output: Annotated[Path | None, typer.Option("--out", help="write outputs to this .npz, under tensor names")] = None,
    keep_tensors: Annotated[bool, typer.Option("--keep-tensors", help="write every intermediate too")] = False,
    samples: Samples = 1,
    seed: Seed = 0,
    stateful: Stateful = False,
    state: Annotated[
        Path | None, typer.Option(help="start from the state in this .npz, as --out-state writes it; default: reset")
    ] = None,
    output_state: Annotated[
        Path | None, typer.Option("--out-state", help="write the state after the last step to this .npz")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="threads to spread the samples over")] = 1,
    json: Json = False,
) -> None:
    """Run a network in an engine's arithmetic, or in that of a target, with what it costs there."""
    from hwsim.importers.arrays import read_arrays
    from hwsim.reports.console import print_json, print_run, run_facts
    from hwsim.reports.estimate import estimate_facts, print_estimates

    if engine is None and target is None:
        raise InputError("--engine is missing; `hwsim engines` lists them, for instance --engine litert-reference")
    announce_compilation()
    graph = hwsim.load(model)
    cost = hwsim.estimate(graph, target) if target is not None else None
    x = inputs(graph, input, samples, seed)
    with progress_bar("running", rows(x)) as advance:
        result = hwsim.simulate(
            graph,
            x,
            engine or (cost.profile.engine if cost else ""),
            keep_tensors=keep_tensors,
            stateful=stateful,
            state=None if state is None else read_arrays(state),
            threads=threads,
            progress=advance,
        )
    if output is not None:
        named = {graph.tensors[i].name: value for i, value in zip(graph.outputs, result.outputs, strict=True)}
        _write_arrays(output, {**named, **result.tensors})
    if output_state is not None:
        _write_arrays(output_state, _last_state(graph, result))
    facts = run_facts(graph, result)
    if json:
        print_json(facts if cost is None else {**facts, "estimate": estimate_facts(cost)})
        return
    print_run(out, facts)
    if cost is not None:
        print_estimates(out, [cost], layers=False)


def _last_state(graph: "Graph", result: "Run") -> dict[str, Any]:
    if not graph.variables:
        raise InputError("--out-state: the model keeps no state")
    if not result.state:
        raise InputError("--out-state: independent samples leave no common state; give --stateful, or one sample")
    return result.state


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
