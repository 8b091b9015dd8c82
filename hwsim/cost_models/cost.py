"""What one layer costs on a machine, as a cost model reports it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hwsim.cost_models.work import Network


@dataclass(frozen=True, slots=True)
class LayerCost:
    """Cycles and traffic of one layer.

    Parameters
    ----------
    cycles : in all, as the machine overlaps the parts below
    compute_cycles, memory_cycles, overhead_cycles : of arithmetic, of waiting for memories, of starting the layer
    traffic_bytes : read and written, by memory: `{"flash": (read, written)}`
    peak_macs_per_cycle : of the compute units at these widths
    instructions : executed by a processor, where the model counts them
    datapath : what the products were formed with, a name in `datapaths.DATAPATHS`, or of a way in `narrow`
    arithmetic_pj : energy of the products and sums; None where it is multiply-accumulates at the target's price
    decode_pj : energy of turning codes behind tables into what the multipliers take
    scratch_bytes : of memory for activations that the layer takes beside them
    """

    cycles: float
    compute_cycles: float
    memory_cycles: float = 0.0
    overhead_cycles: float = 0.0
    traffic_bytes: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    peak_macs_per_cycle: float = 1.0
    instructions: float = 0.0
    datapath: str = "multiply"
    arithmetic_pj: float | None = None
    decode_pj: float = 0.0
    scratch_bytes: int = 0

    @property
    def bound(self) -> str:
        """What the layer waits for most: 'compute', 'memory' or 'overhead'."""
        parts = {
            "compute": self.compute_cycles,
            "memory": self.memory_cycles,
            "overhead": self.overhead_cycles,
        }
        return max(parts, key=lambda part: parts[part])


CostModel = Callable[[Network, Any, str], list[LayerCost]]
"""(network, profile, name of the runtime) -> one cost per layer."""
