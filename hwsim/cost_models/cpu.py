"""Processor cores: the kernel's loop nest counts instructions by class, the core prices each class, memories add waits.

    cycles = factor * sum over loop levels, classes (runs of the level * instructions in its body * latency) / issue
           + (factor * instructions * fetch_misses + lines of weights read) * wait states of flash
           + loads and stores * wait states of SRAM + layer_cycles

The loop levels and how often each runs are in `loop_runs`; the instructions in the body of each are read from
hwsim/targets/loops/LIBRARY-ISA.csv, whose rows name their source. `factor` is the runtime's, relative to that library.
On in-order cores with memory that never waits, the sum of latencies is what the core takes: exact to the cycle on
Ibex, within 0.5 % on CV32E40P (verilated RTL). A layer whose weights outgrow the cache reads them again for every
block of output positions. Weights behind tables, and where the runtime says so all of less than 8 bits, take the
quickest of the ways in `narrow`, times the same factor.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.loops import loops_of
from hwsim.cost_models.narrow import Way, ways
from hwsim.cost_models.work import FREE, Network, Work
from hwsim.errors import InputError, unknown
from hwsim.targets.cpu import CpuProfile, CpuRuntime

POSITIONS_AT_ONCE = 2
"""Output positions that share one read of the weights: CMSIS-NN gathers two columns, arm_convolve_s8.c."""

KERNELS = {
    "conv2d": "conv2d",
    "depthwise_conv2d": "depthwise",
    "fully_connected": "fully_connected",
    "batch_matmul": "fully_connected",
    "transpose_conv": "conv2d",
    "average_pool_2d": "average_pool",
    "mean": "average_pool",
    "max_pool_2d": "max_pool",
    "add": "add",
    "sub": "add",
    "mul": "add",
    "layer_norm": "add",
    "softmax": "softmax",
    "concatenation": "copy",
    "pad": "copy",
    "transpose": "copy",
}
"""The kernel that does an operator's work; one without an entry is taken for an element-wise one.

Nobody has published cycles of an integer layer norm: like a sum it multiplies and rescales each value twice.
"""

STALLS = ("load_use", "stall")
"""Classes that are no instructions: a load whose result the next instruction uses, and a cycle waited."""

FORMATS, BYTE_BITS = "formats", 8
"""The loop table of `narrow`, and what libraries multiply."""

WEIGHTED_KERNELS = ("conv2d", "pointwise", "depthwise", "fully_connected")


def network_costs(network: Network, profile: CpuProfile, runtime: str) -> list[LayerCost]:
    """The cost of each layer of `network` with the kernels of `runtime`."""
    library = profile.runtimes[runtime]
    works = (work.without_dead() if library.skips_dead_channels else work for work in network.works)
    return [_layer_cost(work, profile, library) for work in works]


def kernel_of(work: Work) -> str:
    """The kernel that does this work: 'pointwise' for a 1x1 convolution of stride 1, 'conv2d', 'depthwise', ..."""
    if work.op == "conv2d" and work.kernel == (1, 1) and work.stride == (1, 1) and work.groups == 1:
        return "pointwise"
    if work.op == "conv2d" and work.is_depthwise:
        return "depthwise"
    return KERNELS.get(work.op, "elementwise")


def loop_runs(work: Work) -> Mapping[str, float]:
    """How often each level of the kernel's loop nest runs; of a pooling window, taps are per output."""
    positions = work.batch * work.output_size[0] * work.output_size[1]
    area = work.kernel[0] * work.kernel[1]
    if work.op == "mean":
        positions, area = work.batch, work.input_size[0] * work.input_size[1]
    gathered = work.input_size[2] // (1 if work.is_depthwise else work.groups) if work.macs else work.output_size[2]
    down, across = work.taps_inside
    filters = work.batch * work.output_size[2]
    taps, lines = filters * down * across, filters * work.output_size[1] * down
    return {
        "mac": work.macs,
        "inside": work.macs * work.batch * down * across / max(positions * area, 1),
        "output": work.outputs,
        "patch": positions * area * gathered,
        "tap": positions * area,
        "tap_inside": taps,
        "tap_beside": lines * work.kernel[1] - taps,
        "line_inside": lines,
        "line_beside": work.outputs * work.kernel[0] - lines,
        "position": positions,
        "row": work.batch * work.output_size[0],
        "weight": work.weights,
        "input": work.inputs + work.other_elements,
        "layer": 1,
    }


def _layer_cost(work: Work, profile: CpuProfile, runtime: CpuRuntime) -> LayerCost:
    if work.op in FREE:
        return LayerCost(0.0, 0.0)
    isa = profile.core.isa
    narrow = work.weights and work.weight_bits < BYTE_BITS and runtime.own_kernels and profile.keeps_vectors
    if not (narrow or work.weight_table or (work.activation_table and work.weights)):
        return _cost(work, *instructions(work, runtime.loops, isa), profile, runtime)
    kernel, _ = instructions(replace(work, weight_bits=BYTE_BITS), runtime.loops, isa)
    found = [_cost_of_way(work, way, kernel, profile, runtime) for way in ways(work, kernel, profile)]
    if not found:  # no room to unpack, and no kernel that decodes: as if the levels were stored
        return _cost(work, *instructions(replace(work, weight_bits=BYTE_BITS), runtime.loops, isa), profile, runtime)
    return min(found, key=lambda cost: cost.cycles)


def _cost_of_way(work: Work, way: Way, kernel: str, profile: CpuProfile, runtime: CpuRuntime) -> LayerCost:
    """The cost of a layer run in a way of `narrow`; its packed weights are read once where they are unpacked."""
    formats, runs = loops_of(FORMATS, profile.core.isa), loop_runs(work)
    plain = replace(way.work, weight_bits=BYTE_BITS)
    counts = dict(instructions(plain, runtime.loops, profile.core.isa, skip="mac" if way.products else "")[1])
    for name, times in (*way.extra.items(), *([way.products] if way.products else [])):
        for loop in formats[name]:
            for kind, body in loop.instructions.items():
                counts[kind] = counts.get(kind, 0.0) + times * runs[loop.per] * body
    cost = _cost(work, kernel, counts, profile, runtime, read_once=way.products is None)
    return replace(cost, datapath=way.name, scratch_bytes=way.scratch_bytes)


def _cost(
    work: Work,
    kernel: str,
    counts: Mapping[str, float],
    profile: CpuProfile,
    runtime: CpuRuntime,
    *,
    read_once: bool = False,
) -> LayerCost:
    """What a layer's instructions by class take, and the memories beside them."""
    core = profile.core
    own: float = getattr(runtime, kernel) if kernel in WEIGHTED_KERNELS else runtime.other
    factor = runtime.overall * own
    executed = factor * sum(count for name, count in counts.items() if name not in STALLS)
    compute = factor * sum(count * _latency(name, profile) for name, count in counts.items()) / core.issue
    traffic = _traffic(work, profile, read_once=read_once)
    flash, sram = profile.memories["flash"].wait_states, profile.memories["sram"].wait_states
    waiting = (executed * core.fetch_misses + traffic["flash"][0] / core.line_bytes) * flash
    waiting += factor * sram * (counts.get("load", 0.0) + counts.get("store", 0.0))
    return LayerCost(
        cycles=compute + waiting + runtime.layer_cycles,
        compute_cycles=compute,
        memory_cycles=waiting,
        overhead_cycles=runtime.layer_cycles,
        traffic_bytes=traffic,
        peak_macs_per_cycle=core.macs_per_cycle,
        instructions=executed,
    )


@lru_cache(maxsize=1 << 14)
def instructions(work: Work, library: str, isa: str, skip: str = "") -> tuple[str, Mapping[str, float]]:
    """The kernel that a library has for the work, and its instructions by class on an instruction set.

    skip : a loop level to leave out

    A kernel of other widths has a table of its own: 'conv2d_w4' for weights of up to 4 bits, 'conv2d_a16' for
    activations of 16; where there is none, the widths cost what 8 bits do.
    """
    table = loops_of(library, isa)
    kernel = kernel_of(work)
    wide = "_w4" if work.weight_bits <= 4 else "_a16" if work.activation_bits > 8 else ""
    plain = "conv2d" if kernel == "pointwise" else "elementwise"
    loops = next((table[name] for name in (kernel + wide, kernel, plain) if name in table), None)
    if loops is None:
        raise InputError(unknown("kernel of the loop table", kernel, table))
    runs = loop_runs(work)
    counts: dict[str, float] = {}
    for loop in loops:
        for name, body in loop.instructions.items() if loop.per != skip else ():
            counts[name] = counts.get(name, 0.0) + runs[loop.per] * body
    return kernel, counts


def _latency(name: str, profile: CpuProfile) -> float:
    latency = profile.core.latency
    if name not in latency:
        raise InputError(f"{profile.name}: core.latency has no {name!r}, which the loop tables of its isa count")
    return latency[name]


def _traffic(work: Work, profile: CpuProfile, *, read_once: bool) -> Mapping[str, tuple[float, float]]:
    positions = work.batch * work.output_size[0] * work.output_size[1]
    fits = read_once or work.weight_bytes <= profile.core.cache_bytes
    passes = 1 if fits else max(1.0, positions / POSITIONS_AT_ONCE)
    return {"flash": (work.weight_bytes * passes, 0.0), "sram": (work.input_bytes, work.output_bytes)}
