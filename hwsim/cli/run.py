"""`hwsim run`."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

import hwsim
from hwsim.cli._options import EngineName, InputFile, Json, Model, Samples, Seed, inputs, rows
from hwsim.errors import InputError
from hwsim.reports.terminal import announce_compilation, out, progress_bar


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
    x = inputs(graph, input, samples, seed)
    with progress_bar("running", rows(x)) as advance:
        result = hwsim.simulate(graph, x, engine, keep_tensors=keep_tensors, threads=threads, progress=advance)
    if output is not None:
        named = {graph.tensors[i].name: value for i, value in zip(graph.outputs, result.outputs, strict=True)}
        _write_arrays(output, {**named, **result.tensors})
    facts = run_facts(graph, result)
    if json:
        print_json(facts)
    else:
        print_run(out, facts)


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
