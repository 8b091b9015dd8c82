"""A float network, a target and calibration samples as a table of choices: what `solve_table` takes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from hwsim.engines import engine as engine_called
from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.choose import Widths
from hwsim.ptq.observe import observe
from hwsim.ptq.spell_out import spelled_out
from hwsim.simulate import Inputs
from hwsim.solver.candidates import Candidates, Refine, widths_of
from hwsim.solver.choices import FULL, Choice, checked_choices, find_ties, layer_choices, layers_of
from hwsim.solver.costs import PEAKS, REST, Machine, cost_rows
from hwsim.solver.measures import Judge
from hwsim.solver.sensitivity import Options, Table, hessian, measured
from hwsim.solver.store import Store, sensitivity_store
from hwsim.targets import Target
from hwsim.targets import target as target_called

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Layers:
    """A network's layers with what each may be.

    Parameters
    ----------
    candidates : makes its integer networks
    judge : holds them against the float network
    machine : where costs are from
    options : the choices of each layer
    ties : layers that choose alike
    table : layer, choice, degradation and every cost; `REST` is what no choice changes
    """

    candidates: Candidates
    judge: Judge
    machine: Machine
    options: Options
    ties: Sequence[Sequence[str]]
    table: "pd.DataFrame"

    @property
    def graph(self) -> Graph:
        """The float network."""
        return self.candidates.graph

    @property
    def peaks(self) -> Sequence[str]:
        """Costs of which the largest counts."""
        return PEAKS

    def widths(self, choice: Mapping[str, str]) -> Widths:
        """The configuration of a choice for every layer, as text."""
        places = layers_of(self.graph)
        return widths_of({places[name]: Choice.parse(text) for name, text in choice.items() if name != REST})

    def predicted(self, choice: Mapping[str, str]) -> dict[str, float]:
        """The degradation and costs of a choice for every layer: sums, or of a peak cost the largest, of the table."""
        for name, given in choice.items():
            if name in self.options and given not in map(str, self.options[name]):
                raise InputError(f"layer {name!r} has no choice {given!r}; it has {_listed(self.options[name])}")
        for name in self.options:
            if name not in choice:
                raise InputError(f"choice has no layer {name!r}; it needs one of {_listed(self.options[name])} there")
        rest = next(iter(self.table.loc[self.table["layer"] == REST, "choice"]))
        wanted = {name: choice[name] for name in self.options} | {REST: rest}
        taken = self.table[self.table["choice"] == self.table["layer"].map(wanted)]
        numbers = taken.drop(columns=["layer", "choice"])
        return {str(name): float(c.max() if name in PEAKS else c.sum()) for name, c in numbers.items()}


def tabulate(
    graph: Graph,
    target: str | Path | Target,
    calibration: Inputs,
    *,
    labels: ArrayLike | None = None,
    choices: Iterable[str | Choice] | None = None,
    measure: str | None = None,
    traces: Mapping[str, float] | None = None,
    pin_ends: bool = True,
    runtime: str | None = None,
    engine: str | None = None,
    ranges: str = "mse",
    refine: Refine | None = None,
    cache: bool | Path = True,
    progress: Callable[[int], None] | None = None,
) -> Layers:
    """Measure what each choice does to each layer of a float network, and what it costs on a target.

    Parameters are those of `solve`. `progress` is called with 1 for each layer and choice measured.
    """
    check_real(graph)
    machine = Machine(target_called(target), runtime)
    profile = engine_called(engine or machine.target.profile.engine)
    graph = spelled_out(graph, profile)
    options = layer_choices(graph, checked_choices(machine.target.profile, choices, runtime), pin_ends=pin_ends)
    judge = Judge.of(graph, calibration, labels, measure, profile.name)
    places = layers_of(graph)
    pinned = frozenset(places[name] for name, allowed in options.items() if allowed == (FULL,))
    candidates = Candidates(graph, observe(graph, calibration), ranges, refine, pinned, profile.fine)
    folder = cache if isinstance(cache, Path) else None
    store = sensitivity_store(graph, judge, ranges, folder) if cache and refine is None else None
    return tabulate_candidates(candidates, judge, machine, options, traces=traces, store=store, progress=progress)


def tabulate_candidates(
    candidates: Candidates,
    judge: Judge,
    machine: Machine,
    options: Options,
    *,
    traces: Mapping[str, float] | None = None,
    store: Store | None = None,
    progress: Callable[[int], None] | None = None,
) -> Layers:
    """The same from what is made once for several targets or sets of choices."""
    ties = find_ties(candidates.graph, options)
    if traces is not None:
        degradations = hessian(candidates, traces, options)
    else:
        degradations = measured(candidates, judge, options, ties, store, progress)
    table = _table(cost_rows(candidates, machine, options), degradations)
    return Layers(candidates, judge, machine, options, ties, table)


def check_real(graph: Graph) -> None:
    """Raise InputError where a layer with weights does not read float32: only float networks have widths to choose."""
    for name, index in layers_of(graph).items():
        tensor = graph.tensors[graph.nodes[index].inputs[0]]
        if tensor.dtype != "float32":
            raise InputError(f"layer {name} reads {tensor.dtype}; give the float network, from before quantization")


def _listed(choices: Sequence[Choice]) -> str:
    return ", ".join(map(str, choices))


def _table(rows: Sequence[Mapping[str, object]], degradations: Table) -> "pd.DataFrame":
    import pandas as pd

    by_text = {(layer, str(choice)): value for (layer, choice), value in degradations.items()}
    frame = pd.DataFrame(rows)
    values = [by_text.get((layer, choice), 0.0) for layer, choice in zip(frame["layer"], frame["choice"], strict=True)]
    frame.insert(2, "degradation", values)
    return frame
