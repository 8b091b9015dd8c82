"""What a network costs on a target: time, energy and memory per layer, with a band and a source for every number."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.cost_models.cost import CostModel, LayerCost
from hwsim.cost_models.datapaths import decoded, deployed
from hwsim.cost_models.energy import is_priced, layer_energy_j
from hwsim.cost_models.layer_table import read_layer_table
from hwsim.cost_models.work import Network, Work, network_of
from hwsim.errors import InputError, unknown
from hwsim.graph import Graph
from hwsim.targets import Profile, Sourced, Target, target
from hwsim.targets._profile import Band

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class LayerEstimate:
    """One layer on a target.

    Parameters
    ----------
    work, cost : what it asks, and what that takes
    latency_s : seconds
    energy_j : joules; None where the target says nothing of energy
    """

    work: Work
    cost: LayerCost
    latency_s: float
    energy_j: float | None

    @property
    def utilization(self) -> float:
        """Multiply-accumulates over what the units could have done in that time, 0 to 1."""
        return self.work.macs / (self.cost.cycles * self.cost.peak_macs_per_cycle) if self.cost.cycles else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A network on a target.

    Parameters
    ----------
    network, target, runtime : what was asked
    layers : one per operator, in order
    provenance : every number of the target by dotted path, with its source
    """

    network: Network
    target: Target
    runtime: str
    layers: tuple[LayerEstimate, ...]

    @property
    def profile(self) -> Profile:
        """The target's numbers."""
        return self.target.profile

    @property
    def provenance(self) -> Mapping[str, Sourced]:
        """Every number of the target by dotted path, with its source."""
        return self.target.provenance

    @property
    def cycles(self) -> float:
        """Cycles of one run."""
        return sum(layer.cost.cycles for layer in self.layers)

    @property
    def latency_s(self) -> float:
        """Seconds of one run."""
        return sum(layer.latency_s for layer in self.layers)

    @property
    def energy_j(self) -> float | None:
        """Joules of one run; None where the target says nothing of energy."""
        energies = [layer.energy_j for layer in self.layers if layer.energy_j is not None]
        return sum(energies) if energies else None

    @property
    def peak_sram_bytes(self) -> int:
        """Activations at the worst moment, as the arena planner places them, with what layers take beside them."""
        pairs = zip(self.network.live_bytes, self.layers, strict=True)
        scratch = (live + layer.cost.scratch_bytes for live, layer in pairs if layer.cost.scratch_bytes)
        return max(self.network.arena_bytes, *scratch, 0)

    @property
    def flash_bytes(self) -> int:
        """Constants."""
        return self.network.flash_bytes

    @property
    def utilization(self) -> float:
        """Multiply-accumulates over what the units could have done in that time, 0 to 1."""
        possible = sum(layer.cost.cycles * layer.cost.peak_macs_per_cycle for layer in self.layers)
        return self.network.macs / possible if possible else 0.0

    @property
    def latency_band_s(self) -> tuple[float, float] | None:
        """Where nine of ten measurements would lie; None where no device of this class was ever compared."""
        return _between(self.profile.bands.latency, self.latency_s)

    @property
    def energy_band_j(self) -> tuple[float, float] | None:
        """Where nine of ten measurements would lie; None where there was none to compare."""
        return _between(self.profile.bands.energy, self.energy_j)

    @property
    def table(self) -> "pandas.DataFrame":
        """One row per layer."""
        import pandas as pd

        return pd.DataFrame([_row(layer) for layer in self.layers])


def estimate(
    network: "Graph | Network | str | Path",
    target: str | Path | Target,
    runtime: str | None = None,
    settings: Mapping[str, float] | None = None,
) -> Estimate:
    """What `network` costs on `target`.

    Parameters
    ----------
    network : a graph, a network's work, or the path of a table of layers (.csv)
    target : a name (`hwsim.targets()`), NAME@BOARD, or the path of a TOML file
    runtime : one of the target's; default: the target's own default
    settings : other values for the target's numbers by dotted path: `{"clock_hz": 80e6}`

    Raises
    ------
    InputError : for a target, runtime or setting that does not exist
    """
    machine = _target(target, settings)
    profile = machine.profile
    chosen = _runtime(profile, runtime)
    work = deployed(_network(network), profile)
    return Estimate(work, machine, chosen, costed(work, profile, chosen))


def costed(network: Network, profile: Profile, runtime: str) -> tuple[LayerEstimate, ...]:
    """Every layer's cost on the machine of `profile`, with the kernels of `runtime` (empty where it has none)."""
    model: CostModel = import_module(f"hwsim.cost_models.{profile.kind}").network_costs
    costs = [decoded(*pair, profile) for pair in zip(network.works, model(network, profile, runtime), strict=True)]
    priced = is_priced(profile)
    layers = []
    for item, cost in zip(network.works, costs, strict=True):
        seconds = cost.cycles / profile.clock_hz
        joules = layer_energy_j(item, cost, profile, seconds) if priced else None
        layers.append(LayerEstimate(item, cost, seconds, joules))
    return tuple(layers)


def _target(name: str | Path | Target, settings: Mapping[str, float] | None) -> Target:
    found = target(name)
    return found.with_values(settings) if settings else found


def _network(network: "Graph | Network | str | Path") -> Network:
    if isinstance(network, Network):
        return network
    if isinstance(network, Graph):
        return network_of(network)
    path = Path(network)
    if path.suffix.lower() != ".csv":
        raise InputError(f"{path}: is no table of layers (.csv); load a model first: hwsim.load({str(path)!r})")
    return read_layer_table(path)


def _runtime(profile: Profile, name: str | None) -> str:
    runtimes: Mapping[str, Any] = getattr(profile, "runtimes", {})
    chosen = name or profile.default_runtime
    if chosen and chosen not in runtimes:
        if not runtimes:
            raise InputError(f"target {profile.name!r} has no runtimes to choose from; leave out {chosen!r}")
        raise InputError(unknown(f"runtime of {profile.name}", chosen, runtimes))
    return chosen


def _between(band: Band | None, value: float | None) -> tuple[float, float] | None:
    return None if band is None or value is None else (value * band.low, value * band.high)


def _row(layer: LayerEstimate) -> dict[str, Any]:
    work, cost = layer.work, layer.cost
    moved = {f"{name}_bytes": sum(pair) for name, pair in cost.traffic_bytes.items()}
    return {
        "layer": work.name,
        "op": work.op,
        "macs": work.macs,
        "cycles": cost.cycles,
        "latency_s": layer.latency_s,
        "energy_j": layer.energy_j,
        "utilization": layer.utilization,
        "bound": cost.bound,
        "datapath": cost.datapath,
        "weight_bytes": work.weight_bytes,
        "input_bytes": work.input_bytes,
        "output_bytes": work.output_bytes,
        **moved,
    }
