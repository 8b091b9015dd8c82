"""Application cores: a vector unit's loop nest, threads that share a layer, and a roofline over DRAM.

    compute = macs of whole tiles / (macs per cycle * share reached) + outputs * output_cycles
    cycles  = max(compute * (serial + (1 - serial) / threads), DRAM bytes / bytes per cycle) + layer_cycles

The matrix products compute `tile` output channels together (XNNPACK and ruy: 8), so channels are rounded up to whole
tiles; depthwise loops take as many channels at once. None of these cores has a dot product instruction: eight-bit
products are widened to 16 bits and added in pairs. A layer reads its weights from DRAM where the network's weights do
not fit the last cache, and its activations where they do not fit beside them (roofline: Williams et al., CACM 2009).
"""

from math import ceil

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.work import FREE, Network, Work
from hwsim.targets.vector_cpu import VectorCpuProfile, VectorRuntime


def network_costs(network: Network, profile: VectorCpuProfile, runtime: str) -> list[LayerCost]:
    """The cost of each layer of `network` with the kernels of `runtime`."""
    library = profile.runtimes[runtime]
    widen = library.bits / 8
    resident = sum(work.weight_bytes for work in network.works) * widen <= profile.core.cache_bytes
    return [_layer_cost(work, profile, library, resident) for work in network.works]


def _layer_cost(work: Work, profile: VectorCpuProfile, library: VectorRuntime, resident: bool) -> LayerCost:
    if work.op in FREE:
        return LayerCost(0.0, 0.0)
    core, dram = profile.core, profile.memories["dram"]
    peak = core.float_macs_per_cycle if library.bits == 32 else core.int8_macs_per_cycle
    threads = min(core.threads, core.cores)
    compute = _one_thread(work, library, peak) * (library.serial + (1 - library.serial) / threads)
    read, written = _traffic(work, library, core.cache_bytes, resident)
    memory = (read + written) / dram.bytes_per_cycle
    return LayerCost(
        cycles=max(compute, memory) + library.layer_cycles,
        compute_cycles=compute,
        memory_cycles=memory,
        overhead_cycles=library.layer_cycles,
        traffic_bytes={"dram": (read, written)},
        peak_macs_per_cycle=peak * threads,
    )


def _one_thread(work: Work, library: VectorRuntime, peak: float) -> float:
    if not work.macs:
        return max(work.inputs + work.other_elements, work.outputs) * library.element_cycles
    kernel = _kernel(work)
    channels = work.output_size[2]
    whole = ceil(channels / library.tile) * library.tile / channels
    reached: float = getattr(library, kernel)
    return work.macs * whole / (peak * reached) + work.outputs * library.output_cycles


def _kernel(work: Work) -> str:
    if work.op == "depthwise_conv2d" or work.is_depthwise:
        return "depthwise"
    if work.op in ("fully_connected", "batch_matmul"):
        return "fully_connected"
    return "pointwise" if work.kernel == (1, 1) and work.stride == (1, 1) else "conv2d"


def _traffic(work: Work, library: VectorRuntime, cache_bytes: float, resident: bool) -> tuple[float, float]:
    """Bytes read from DRAM and written to it."""
    widen = library.bits / 8
    inputs, outputs = work.input_bytes * widen, work.output_bytes * widen
    weights = 0.0 if resident else work.weight_bytes * widen
    fits = inputs + outputs <= cache_bytes
    return weights + (0.0 if fits else inputs), 0.0 if fits else outputs
