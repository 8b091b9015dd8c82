"""Widths for post-training quantization: the plug of `hwsim.ptq.allocate` that solves the integer program.

Source: Hubara et al., Accurate Post Training Quantization With Small Calibration Sets (ICML 2021), section 3.2: the
degradation of each layer alone at each width, summed; the least of it within budgets, or (4a)-(4d) the largest saving
within a limit on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.ptq.allocate import CHOICES
from hwsim.ptq.allocate import Choice as Row
from hwsim.ptq.observe import observe
from hwsim.simulate import SampleBatch
from hwsim.solver.candidates import Candidates
from hwsim.solver.choices import FULL, Choice, checked_choices, layers_of, runnable
from hwsim.solver.costs import KIB, PEAKS, REST, Machine, cost_rows
from hwsim.solver.request import solve_table
from hwsim.solver.sensitivity import Options
from hwsim.targets import Target
from hwsim.targets import target as target_called

if TYPE_CHECKING:
    import pandas as pd

SIZE = "weights_kib"
"""Packed codes of all weights; the one cost that needs no target."""
_BITS = 8 * KIB


@dataclass(frozen=True, slots=True)
class Allocator:
    """Chooses widths of weights for layers.

    Parameters
    ----------
    budgets : {cost: limit}: 'weights_kib', and with a target 'latency_ms', 'energy_uj', 'flash_kib', 'sram_kib',
        'gbops'; where empty and without `max_degradation`, as many bits of weights as uniform widths take
    max_degradation : of all layers together, in the unit of `sensitivity`; the fewest KiB of weights within it
    target, runtime : where the network will run
    """

    budgets: Mapping[str, float] = field(default_factory=dict)
    max_degradation: float | None = None
    target: str | Path | Target | None = None
    runtime: str | None = None

    def __post_init__(self) -> None:
        """InputError for budgets that need a target."""
        needy = [name for name in self.budgets if name != SIZE]
        if needy and self.target is None:
            raise InputError(f"a budget of {needy[0]} needs a target; name one, such as 'cortex-m7'")

    def widths(self) -> tuple[int, ...]:
        """All widths of weights that make sense."""
        if self.target is None:
            return CHOICES
        return tuple(sorted({c.weights for c in runnable(target_called(self.target).profile, self.runtime)}))

    def __call__(self, graph: Graph, rows: Sequence[Row], uniform_bits: int) -> dict[int, int]:
        """The plug. InputError where nothing keeps the budgets, or the target does not run these widths."""
        frame, budgets, places = self.table(graph, rows), dict(self.budgets), layers_of(graph)
        free = {row.layer for row in rows}
        if not budgets and self.max_degradation is None:
            budgets[SIZE] = (uniform_bits + sum(8 * _count(graph, i) for i in places.values() if i not in free)) / _BITS
        aim = {} if self.max_degradation is None else {"minimize": SIZE, "max_degradation": self.max_degradation}
        peaks = [name for name in PEAKS if name in frame]
        found = solve_table(frame, budgets, peaks=peaks, **aim)  # type: ignore[arg-type]
        if not found.choice:
            raise InputError(f"there are no widths for these budgets: {found.explanation}")
        return {
            places[name]: Choice.parse(text).weights
            for name, text in found.choice.items()
            if name != REST and places[name] in free
        }

    def table(self, graph: Graph, rows: Sequence[Row]) -> "pd.DataFrame":
        """What `solve_table` takes; layers without rows have 8 bits."""
        import pandas as pd

        places = layers_of(graph)
        names = {index: name for name, index in places.items()}
        worse = {(names[row.layer], str(Choice(row.bits, row.activations))): row.degradation for row in rows}
        options = {
            name: tuple(Choice(row.bits, row.activations) for row in rows if row.layer == index) or (FULL,)
            for name, index in places.items()
        }
        listed = self._costs(graph, options)
        for row in listed:
            key = row["layer"], row["choice"]
            bits = 0 if key[0] == REST else Choice.parse(key[1]).weights * _count(graph, places[key[0]])
            row.update({SIZE: bits / _BITS, "degradation": worse.get(key, 0.0)})
        return pd.DataFrame(listed)

    def _costs(self, graph: Graph, options: Options) -> list[dict[str, Any]]:
        """One row for each layer and choice, with what it takes on the target if there is one."""
        if self.target is None:
            return [{"layer": name, "choice": str(choice)} for name, among in options.items() for choice in among]
        machine = Machine(target_called(self.target), self.runtime)
        checked_choices(machine.target.profile, [c for among in options.values() for c in among], self.runtime)
        draw = np.random.default_rng(0)
        anything = {i: draw.normal(0, 1, (1, *graph.tensors[i].shape)).astype(np.float32) for i in graph.inputs}
        seen = observe(graph, SampleBatch(graph, anything, 1, {}))
        return cost_rows(Candidates(graph, seen), machine, options)


def _count(graph: Graph, index: int) -> int:
    """Weights of the layer at node `index`."""
    return int(np.prod(graph.tensors[graph.nodes[index].inputs[1]].shape))
