"""What each choice costs each layer on a target, from its cost model, nothing typed in.

Every choice is given to all free layers at once, and the network that comes out is estimated: a layer's cost there is
its own, because what a layer takes depends on its own widths. What no choice changes is a layer of its own, REST, with
one choice. Where a target prices layers by the whole network (weights that no longer fit a memory), sums are off; the
estimate of the final network stands beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from hwsim.cost_models import Estimate, LayerEstimate, estimate
from hwsim.cost_models.work import WEIGHTED
from hwsim.graph import Graph
from hwsim.ptq.ties import tied
from hwsim.solver.candidates import Candidates, widths_of
from hwsim.solver.choices import FULL, Choice, layers_of
from hwsim.targets import Target

REST = "rest"
"""The name of everything that no choice changes."""

PEAKS = ("sram_kib",)
"""Costs of which the largest counts."""

KIB = 1024.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Where costs are from.

    Parameters
    ----------
    target : with its settings
    runtime : one of its, or None for its own default
    """

    target: Target
    runtime: str | None = None

    def estimate(self, graph: Graph) -> Estimate:
        """What `graph` costs here."""
        return estimate(graph, self.target, self.runtime)


def totals(found: Estimate) -> dict[str, float]:
    """A network's costs, by the names of the table; energy where the target says something of it."""
    numbers = {
        "latency_ms": 1e3 * found.latency_s,
        "energy_uj": None if found.energy_j is None else 1e6 * found.energy_j,
        "flash_kib": _flash_bytes(found) / KIB,
        "sram_kib": found.peak_sram_bytes / KIB,
        "gbops": sum(map(_gbops, found.layers)),
    }
    return {name: number for name, number in numbers.items() if number is not None}


def cost_rows(
    candidates: Candidates, machine: Machine, options: Mapping[str, Sequence[Choice]]
) -> list[dict[str, Any]]:
    """Rows of a table for `solve_table` without degradations: layer, choice, and every cost.

    `sram_kib` of a layer is what is alive while it runs; of REST, what the planner of the arena needs in all.
    """
    graph, layers = candidates.graph, layers_of(candidates.graph)
    owners = _owners(graph)
    rows: list[dict[str, Any]] = []
    full = machine.estimate(candidates.quantized(widths_of({})))
    for choice in dict.fromkeys(chain.from_iterable(options.values())):
        free = {layers[name]: choice for name, choices in options.items() if choice in choices}
        found = full if choice == FULL else machine.estimate(candidates.quantized(widths_of(free)))
        places = _places(found, owners)
        names = [name for name, choices in options.items() if choice in choices]
        rows += [{"layer": n, "choice": str(choice), **_costs(found, places[layers[n]])} for n in names]
    rest = _places(full, owners).get(None, [])
    return [*rows, {"layer": REST, "choice": str(FULL), **_costs(full, rest), **_whole(full)}]


def _owners(graph: Graph) -> dict[str, int | None]:
    """The layer whose choice decides a node's widths, by the node's name: its own, or the first that reads the format
    which the node reads; None where there is none.
    """
    same, first = tied(graph), dict[int, int]()
    layers = set(layers_of(graph).values())
    for index in sorted(layers):
        first.setdefault(same[graph.nodes[index].inputs[0]], index)
    owners: dict[str, int | None] = {}
    for index, node in enumerate(graph.nodes):
        root = same.get(node.inputs[0], -1) if node.inputs else -1
        owners[node.name] = index if index in layers else first.get(root)
    return owners


def _places(found: Estimate, owners: Mapping[str, int | None]) -> dict[int | None, list[int]]:
    """Positions of the integer network's nodes by owner; one that the float network does not have is its reader's."""
    graph = found.network.graph
    assert graph is not None
    readers = {index: node.name for node in reversed(graph.nodes) for index in node.inputs}
    places: dict[int | None, list[int]] = {}
    for position, node in enumerate(graph.nodes):
        name = node.name if node.name in owners else readers[node.outputs[0]]
        places.setdefault(owners[name], []).append(position)
    return places


def _costs(found: Estimate, nodes: Sequence[int]) -> dict[str, float]:
    """Costs of some nodes together."""
    layers = [found.layers[i] for i in nodes]
    energies = [layer.energy_j for layer in layers if layer.energy_j is not None]
    numbers = {
        "latency_ms": 1e3 * sum(layer.latency_s for layer in layers),
        "energy_uj": None if found.energy_j is None else 1e6 * sum(energies),
        "flash_kib": sum(layer.work.weight_bytes for layer in layers) / KIB,
        "sram_kib": max((found.network.live_bytes[i] for i in nodes), default=0) / KIB,
        "gbops": sum(map(_gbops, layers)),
    }
    return {name: number for name, number in numbers.items() if number is not None}


def _whole(full: Estimate) -> dict[str, float]:
    """What the rest has beside its nodes: constants of no layer, and the arena."""
    layers = sum(layer.work.weight_bytes for layer in full.layers)
    return {"flash_kib": (_flash_bytes(full) - layers) / KIB, "sram_kib": full.peak_sram_bytes / KIB}


def _flash_bytes(found: Estimate) -> float:
    """Constants, their codes packed."""
    graph = found.network.graph
    assert graph is not None
    packed = sum(layer.work.weight_bytes for layer in found.layers)
    weights = {i for node in graph.nodes if node.op in WEIGHTED for i in node.inputs[1:] if i >= 0}
    return packed + sum(t.size_bytes for i, t in enumerate(graph.tensors) if t.data is not None and i not in weights)


def _gbops(layer: LayerEstimate) -> float:
    """Bit-operations: multiply-accumulates times both widths."""
    return 1e-9 * layer.work.macs * layer.work.weight_bits * layer.work.activation_bits
