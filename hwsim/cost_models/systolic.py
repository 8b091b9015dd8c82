"""Systolic arrays: matrix products in three dataflows, memories beside them.

Stall-free cycles: SCALE-Sim (Samajdar et al., arXiv 1811.02883), its simulator's "Total Cycles" without bandwidth
stalls. A layer's memory time is its traffic over each memory's bandwidth; double buffering lets the longer of
compute and memory hide the shorter, as SCALE-Sim v2 has it. Weights come from outside; a layer whose activations do
not fit is tiled, and its weights are read once per tile. Where there are datapaths of other
kinds beside the array, a layer takes the one that is sooner done.
"""

from math import ceil, prod

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.datapaths import cheapest
from hwsim.cost_models.energy import arithmetic_pj
from hwsim.cost_models.work import FREE, Network, Work
from hwsim.errors import InputError, unknown
from hwsim.targets.systolic import Array, SystolicProfile

_MAPPINGS = {"os": ("m", "n", "k"), "ws": ("k", "n", "m"), "is": ("k", "m", "n")}


def gemm_cycles(*, dataflow: str, rows: int, cols: int, m: int, k: int, n: int) -> int:
    """Cycles of an (m, k) by (k, n) product on an array of `rows` by `cols`, without stalls.

    Parameters
    ----------
    dataflow : 'os' (outputs stay), 'ws' (weights stay) or 'is' (inputs stay)
    rows, cols, m, k, n : each at least 1; of a convolution, m is output positions, k filter taps, n filters

    Raises
    ------
    InputError : for another dataflow or a size below 1
    """
    if dataflow not in _MAPPINGS:
        raise InputError(unknown("dataflow", dataflow, _MAPPINGS))
    sizes = {"rows": rows, "cols": cols, "m": m, "k": k, "n": n}
    for name, value in sizes.items():
        if value < 1:
            raise InputError(f"{name} is {value}; must be at least 1")
    down, across, time = (sizes[name] for name in _MAPPINGS[dataflow])
    folds = -(-down // rows) * -(-across // cols)
    fill = rows if dataflow == "os" else 2 * rows
    return folds * (time + fill + cols - 2) - 1


def network_costs(network: Network, profile: SystolicProfile, _runtime: str) -> list[LayerCost]:
    """The cost of each layer of `network`; a plain array has no runtimes."""
    return [_layer_cost(work, profile) for work in network.works]


def _layer_cost(work: Work, profile: SystolicProfile) -> LayerCost:
    if work.op in FREE:
        return LayerCost(0.0, 0.0)
    array = profile.array
    compute = _products(work, array) if work.macs else max(work.inputs, work.outputs) / array.vector_lanes
    datapath = cheapest(work, compute, arithmetic_pj(work, profile.energy.mac_pj), profile)
    compute = datapath.cycles if datapath else compute
    traffic = _traffic(work, profile)
    memory = max((sum(moved) / profile.memories[name].bytes_per_cycle for name, moved in traffic.items()), default=0)
    return LayerCost(
        cycles=max(compute, memory) + array.layer_cycles,
        compute_cycles=compute,
        memory_cycles=memory,
        overhead_cycles=array.layer_cycles,
        traffic_bytes=traffic,
        peak_macs_per_cycle=max(array.rows * array.cols, work.macs / compute if compute else 0.0),
        datapath=datapath.name if datapath else "multiply",
        arithmetic_pj=datapath.energy_pj if datapath else None,
    )


def _products(work: Work, array: Array) -> float:
    """Cycles of a layer's products; operands wider than an element's take as many passes as they have parts."""
    m, k, n = work.gemm
    passes = prod(ceil(bits / array.mac_bits) for bits in work.multiplied_bits)
    return passes * work.groups * gemm_cycles(dataflow=array.dataflow, rows=array.rows, cols=array.cols, m=m, k=k, n=n)


def _traffic(work: Work, profile: SystolicProfile) -> dict[str, tuple[float, float]]:
    """Bytes read and written: activations stay in SRAM while they fit, weights come from outside once per tile."""
    sram = profile.memories["sram"].size_bytes
    together = work.input_bytes + work.output_bytes
    tiles = max(1, ceil(together / sram))
    outside_reads = work.weight_bytes * tiles + (work.input_bytes if tiles > 1 else 0)
    outside_writes = work.output_bytes if tiles > 1 else 0.0
    sram_reads = work.input_bytes + work.weight_bytes * tiles
    return {"sram": (sram_reads, work.output_bytes), "dram": (outside_reads, outside_writes)}
