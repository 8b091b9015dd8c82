"""`hwsim.solve`: from a float network and budgets on a target to widths for every layer, and to the integer network."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from numpy.typing import ArrayLike

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.choose import Widths
from hwsim.simulate import Inputs
from hwsim.solver.candidates import Refine, widths_of
from hwsim.solver.choices import Choice
from hwsim.solver.costs import REST, totals
from hwsim.solver.network import Layers, tabulate
from hwsim.solver.request import solve_table
from hwsim.solver.solution import Solution
from hwsim.targets import Target

Quantizer = Callable[[Graph, Widths], Graph]
"""From a float network and widths to an integer network."""


@dataclass(frozen=True, slots=True)
class Applied:
    """An integer network at chosen widths.

    Parameters
    ----------
    graph : the network
    actual : its own degradation and costs, by the names of the prediction: measured, and estimated as a whole
    """

    graph: Graph
    actual: Mapping[str, float]

    def missed(self, budgets: Mapping[str, float]) -> dict[str, float]:
        """The budgets that it does not keep, with what it takes."""
        return {name: self.actual[name] for name, limit in budgets.items() if self.actual[name] > limit * (1 + 1e-9)}


@dataclass(frozen=True)
class Mixed:
    """Widths for every layer of a network, chosen on a target.

    Parameters
    ----------
    layers : the network, its choices and their table
    solution : the program's answer, with its proof
    """

    layers: Layers
    solution: Solution

    @property
    def status(self) -> str:
        """Of the solution: 'optimal', 'infeasible', 'time_limit' or 'feasible'."""
        return self.solution.status

    @property
    def choice(self) -> dict[str, str]:
        """{layer: choice}, such as {'4_conv2d': 'w4a8'}; empty where nothing fits."""
        return {name: text for name, text in self.solution.choice.items() if name != REST}

    @property
    def predicted(self) -> dict[str, float]:
        """Degradation beside every layer at 8 bits, and costs: sums over the layers."""
        return self.layers.predicted(self.choice) if self.choice else {}

    @property
    def widths(self) -> Widths:
        """The configuration, as `hwsim.ptq` takes it. InputError where nothing fits."""
        if not self.choice:
            raise InputError(f"there are no widths to apply: {self.solution.explanation}")
        return self.layers.widths(self.choice)

    @cached_property
    def full(self) -> float:
        """The degradation of the network with every layer at 8 bits, from which the others are counted."""
        return self.layers.judge.degradation(self.layers.candidates.quantized(widths_of({})))

    def apply(self, quantizer: Quantizer | None = None) -> Applied:
        """The integer network, with what it really takes; `quantizer` adds steps of its own, default: ranges alone."""
        candidates = self.layers.candidates
        graph = candidates.quantized(self.widths) if quantizer is None else quantizer(candidates.graph, self.widths)
        degradation = self.layers.judge.degradation(graph) - self.full
        return Applied(graph, {"degradation": degradation, **totals(self.layers.machine.estimate(graph))})


def solve(
    graph: Graph,
    target: str | Path | Target,
    calibration: Inputs,
    budgets: Mapping[str, float] | None = None,
    *,
    max_latency_ms: float | None = None,
    max_energy_uj: float | None = None,
    max_flash_kib: float | None = None,
    max_sram_kib: float | None = None,
    max_gbops: float | None = None,
    minimize: str | None = None,
    max_degradation: float | None = None,
    weights: Mapping[str, float] | None = None,
    labels: ArrayLike | None = None,
    choices: Iterable[str | Choice] | None = None,
    measure: str | None = None,
    traces: Mapping[str, float] | None = None,
    pin_ends: bool = True,
    runtime: str | None = None,
    engine: str | None = None,
    ranges: str = "mse",
    solver: str = "cbc",
    time_limit_s: float = 60.0,
    refine: Refine | None = None,
    cache: bool | Path = True,
    progress: Callable[[int], None] | None = None,
) -> Mixed:
    """Choose widths for every layer of a float network: the least degradation within budgets on a target.

    Parameters
    ----------
    graph : with float32 weights and activations
    target : a name, NAME@BOARD, or the path of a TOML file
    calibration : samples as for `simulate`; a few hundred do
    budgets : {'latency_ms', 'energy_uj', 'flash_kib', 'sram_kib' or 'gbops': limit}; the max_... say the same
    minimize, max_degradation, weights : other aims, as of `solve_table`
    labels : classes of the samples; without them, those that the float network gives
    choices : such as ['w8a8', 'w4a8']; default: all that the target runs
    measure : 'loss' (default where the network classifies), 'kl' or 'sqnr'; see `hwsim.solver.measures`
    traces : average Hessian trace of each layer's weights, {'4_conv2d': 0.1}, for HAWQ-V2's sensitivity instead
    pin_ends : the first and the last layer keep 8 bits
    runtime, engine : of the target; default: its own
    ranges : how number formats are fitted: 'min_max', 'percentile', 'mse' or 'entropy'
    solver, time_limit_s : as of `solve_table`
    refine : a post-training step on each layer's codes, done before degradations are measured, as AdaQuant does; such
        degradations are not cached, as nothing says what the step depends on
    cache : whether measured sensitivities are kept in the user's cache, or the folder to keep them in
    progress : called with 1 for each layer and choice measured

    Raises
    ------
    InputError : for a target, choice, budget or samples that do not do
    """
    named = {
        "latency_ms": max_latency_ms,
        "energy_uj": max_energy_uj,
        "flash_kib": max_flash_kib,
        "sram_kib": max_sram_kib,
        "gbops": max_gbops,
    }
    limits = {**(budgets or {}), **{name: limit for name, limit in named.items() if limit is not None}}
    layers = tabulate(
        graph,
        target,
        calibration,
        labels=labels,
        choices=choices,
        measure=measure,
        traces=traces,
        pin_ends=pin_ends,
        runtime=runtime,
        engine=engine,
        ranges=ranges,
        refine=refine,
        cache=cache,
        progress=progress,
    )
    aims = {"minimize": minimize, "max_degradation": max_degradation, "weights": weights}
    return solve_layers(layers, limits, **aims, solver=solver, time_limit_s=time_limit_s)


def solve_layers(layers: Layers, budgets: Mapping[str, float], **options: object) -> Mixed:
    """Choose from a table that is there already; options as of `solve_table`."""
    for name in budgets:
        if name == "energy_uj" and name not in layers.table:
            raise InputError(f"target {layers.machine.target.profile.name!r} says nothing of energy; leave it out")
    answer = solve_table(layers.table, budgets, ties=layers.ties, peaks=layers.peaks, **options)  # type: ignore[arg-type]
    return Mixed(layers, answer)
