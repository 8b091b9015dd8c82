"""Clusters of cores with a scratchpad, and NE16, the convolution engine of GAP9.

    layer = max(compute, L2 bytes / bandwidth, L3 bytes / bandwidth) + layer_cycles

Tiles move to the scratchpad while others are computed (DORY, Burrello et al., arXiv 2008.07127). Weights lie in L3
where the network's do not fit L2. A layer runs where it is sooner done. Cores: multiply-accumulates over their rate.
NE16, after DORY's Ne16PerfModel.py:

    network layer = patches * (outputs / 32) * (ceil(inputs / 16) * (load + fifo + products + 2) + scaling + out)

with products of 3x3 taps taken bit by bit of the weights and 1x1 taps at once, for 3 by 3 positions. Other kernels are
split into 3x3 and 1x1; a stride of 2 leaves 2 by 2 positions of a patch (the engine reads 5 by 5 inputs).
"""

from functools import partial
from math import ceil

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.work import FREE, Network, Work
from hwsim.targets.cluster import ClusterProfile, Engine

FUSED = frozenset({*FREE, "pad", "activation", "relu", "relu6"})
UPDATE_CYCLES = 2
SCALE_CYCLES, SCALE_LANES = 9, 4
"""NE16's scaling of 32-bit sums: cycles to start, multipliers of 8 bits."""

POINTWISE_START_CYCLES = 10
OUT_CYCLES = 4


def network_costs(network: Network, profile: ClusterProfile, _runtime: str) -> list[LayerCost]:
    """The cost of each layer of `network`."""
    far = network.flash_bytes > profile.memories["l2"].size_bytes
    return [_layer_cost(work, profile, far) for work in network.works]


def _layer_cost(work: Work, profile: ClusterProfile, far: bool) -> LayerCost:
    if work.op in FUSED:
        return LayerCost(0.0, 0.0)
    compute = _compute(work, profile)
    reads = work.input_bytes + work.weight_bytes
    moved = {"l2": (reads, work.output_bytes), "l3": (work.weight_bytes if far else 0.0, 0.0)}
    memory = max(sum(pair) / profile.memories[name].bytes_per_cycle for name, pair in moved.items())
    engine = profile.accelerator
    return LayerCost(
        cycles=max(compute, memory) + profile.cores.layer_cycles,
        compute_cycles=compute,
        memory_cycles=memory,
        overhead_cycles=profile.cores.layer_cycles,
        traffic_bytes={"l1": (reads, work.output_bytes), **moved},
        peak_macs_per_cycle=engine.patch**2 * engine.channels_in * engine.channels_out / work.multiplied_bits[0]
        if engine
        else profile.cores.macs_per_cycle,
    )


def _compute(work: Work, profile: ClusterProfile) -> float:
    cores = profile.cores
    if not work.macs:
        taps = work.kernel[0] * work.kernel[1]
        return max(work.inputs + work.other_elements, work.outputs * taps) / cores.elements_per_cycle
    rate = cores.depthwise_macs_per_cycle if work.is_depthwise else cores.macs_per_cycle
    weight_bits, activation_bits = work.multiplied_bits
    unpacking = cores.unpack_cycles_per_mac / cores.count if weight_bits < 8 and not work.weight_table else 0.0
    on_cores = work.macs * (ceil(activation_bits / 8) / rate + unpacking)
    if profile.accelerator and max(work.multiplied_bits) <= 8:
        return min(on_cores, _engine_cycles(work, profile.accelerator))
    return on_cores


def _engine_cycles(work: Work, engine: Engine) -> float:
    """Cycles of NE16: the kernel as so many 3x3 and 1x1."""
    whole = work.kernel[0] // 3 * (work.kernel[1] // 3)
    single = work.kernel[0] * work.kernel[1] - 9 * whole
    side = engine.patch if max(work.stride) == 1 else engine.patch - 1
    patches = work.batch * ceil(work.output_size[0] / side) * ceil(work.output_size[1] / side)
    return patches * sum(
        count * _patch_cycles(work, engine, three_by_three=three)
        for count, three in ((whole, True), (single, False))
        if count
    )


def _patch_cycles(work: Work, engine: Engine, *, three_by_three: bool) -> float:
    """Cycles of a patch of positions, all channels; sums of a split kernel go to the scratchpad in between."""
    depthwise = work.is_depthwise
    together = engine.channels_in if depthwise else engine.channels_out
    slices = 1 if depthwise else ceil(work.input_size[2] / engine.channels_in)
    one = partial(_pass_cycles, work.multiplied_bits[0], engine, three_by_three=three_by_three, depthwise=depthwise)
    full, rest = divmod(work.output_size[2], together)
    return sum(
        count * (slices * one(filters) + _finish_cycles(filters, engine))
        for count, filters in ((full, together), (1, rest))
        if count and filters
    )


def _pass_cycles(weight_bits: int, engine: Engine, filters: int, *, three_by_three: bool, depthwise: bool) -> float:
    """Cycles of 16 input channels: load, weight offset, products, index."""
    words = ceil(engine.channels_in / engine.bytes_per_cycle)
    edge = engine.patch + 2 if three_by_three else engine.patch
    load = edge**2 * words + (engine.fifo_cycles if three_by_three else POINTWISE_START_CYCLES)
    offset = engine.fifo_cycles + (filters if depthwise else 0)
    products = engine.fifo_cycles + filters * (weight_bits if three_by_three else 1)
    return load + offset + products + UPDATE_CYCLES


def _finish_cycles(filters: int, engine: Engine) -> float:
    """Cycles to scale sums of 32 bits and write a patch."""
    scaling = SCALE_CYCLES + ceil(filters * 4 / SCALE_LANES)
    return scaling + OUT_CYCLES + engine.patch**2 * ceil(engine.channels_out / engine.bytes_per_cycle)
