"""Options and helpers that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hwsim.graph import Graph

Model = Annotated[Path, typer.Argument(help="a .tflite or .hwsim file", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")]
InputFile = Annotated[
    Path | None,
    typer.Option("--input", help=".npy, or .npz with arrays under input names or input_0, ...; default: random codes"),
]
Samples = Annotated[int, typer.Option(min=1, help="how many random samples, where no --input is given")]
Seed = Annotated[int, typer.Option(min=0, help="of the random samples")]
Stateful = Annotated[
    bool,
    typer.Option("--stateful", help="samples are consecutive steps: each goes on from the state before it"),
]
EngineName = Annotated[str | None, typer.Option("--engine", help="whose arithmetic; `hwsim engines` lists them")]


def inputs(graph: "Graph", file: Path | None, samples: int, seed: int, extremes: bool = False) -> list[Any]:
    """The samples in `file`, or random ones; `extremes` adds the smallest, largest and zero-point codes."""
    from hwsim.graph.probes import probe_inputs, random_inputs
    from hwsim.verify.golden import read_inputs

    if file is not None:
        return read_inputs(graph, file)
    return probe_inputs(graph, samples, seed) if extremes else random_inputs(graph, samples, seed)


def rows(x: list[Any]) -> int:
    """How many samples `x` holds."""
    return max((len(array) for array in x if array.ndim), default=1)
