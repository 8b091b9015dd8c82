"""Coprocessors that cache weights and stream the rest from a host: the Edge TPU.

    tiles      = positions * ceil(taps / rows) * ceil(filters / cols), one in a cycle
    compute    = tiles + (inputs + outputs) / activation_bytes_per_cycle; of a depthwise layer macs / (rows * cols)
                 instead of tiles: it waits for activations, and its own rate could not be told from infinity
    layer      = max(compute, streamed weights / link) + layer_cycles
    network    = start + (inputs + outputs) / link + sum over layers + host elements * element_s

Weights are cached in the order of execution until the memory is full; the rest comes over the link in every run
(Coral's Edge TPU compiler documentation, "Parameter data caching"; its SRAM of about 8 MB also holds the
executable). A narrower weight or activation still takes a byte; a wider one the chip does not compute. Padding and
activation functions are part of a neighbor. Operators in `HOST` run on the host's processor: the compiler
documentation leaves to it what the chip lacks. The array's shape is an assumption: Google publishes 4 TOPS only.
"""

from math import ceil

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.work import FREE, Network, Work
from hwsim.errors import UnsupportedError
from hwsim.targets.edge_tpu import EdgeTpuProfile

WIDEST = 8

FOLDED = frozenset({*FREE, "pad", "activation", "relu", "relu6"})
HOST = frozenset({"quantize", "dequantize", "arg_max", "resize_bilinear", "detection_postprocess", "gather"})


def network_costs(network: Network, profile: EdgeTpuProfile, _runtime: str) -> list[LayerCost]:
    """The cost of each layer of `network`; the first also bears the start and the inputs, the last the outputs."""
    cache = profile.memories["sram"].size_bytes
    costs = []
    for index, work in enumerate(network.works):
        weights = _checked(work, profile.name).weights + work.bias_bytes
        cached = min(weights, cache)
        cache -= cached
        ends = (work.inputs if index == 0 else 0, work.outputs if index == len(network.works) - 1 else 0)
        costs.append(_layer_cost(work, profile, weights - cached, ends, is_first=index == 0))
    return costs


def _checked(work: Work, name: str) -> Work:
    if work.op not in HOST and work.op not in FOLDED and max(work.multiplied_bits) > WIDEST:
        widths = f"weights of {work.weight_bits} and activations of {work.activation_bits} bits"
        raise UnsupportedError(f"{work.name!r} has {widths}; {name} computes 8 by 8; quantize the network first")
    return work


def _layer_cost(
    work: Work, profile: EdgeTpuProfile, streamed: float, ends: tuple[int, int], *, is_first: bool
) -> LayerCost:
    array, host = profile.array, profile.host
    link = host.link_bytes_per_s / profile.clock_hz
    compute, own = _compute(work, profile), array.layer_cycles
    if work.op in FOLDED or work.op in HOST:
        own = 0.0
    start = host.start_s * profile.clock_hz if is_first else 0.0
    return LayerCost(
        cycles=max(compute, streamed / link) + own + start + sum(ends) / link,
        compute_cycles=compute,
        memory_cycles=(streamed + sum(ends)) / link,
        overhead_cycles=own + start,
        traffic_bytes={
            "sram": (work.inputs + work.other_elements + work.weights + work.bias_bytes, float(work.outputs)),
            "host": (streamed + ends[0], float(ends[1])),
        },
        peak_macs_per_cycle=array.rows * array.cols,
    )


def _compute(work: Work, profile: EdgeTpuProfile) -> float:
    array = profile.array
    if work.op in FOLDED:
        return 0.0
    if work.op in HOST:
        return max(work.inputs, work.outputs) * profile.host.element_s * profile.clock_hz
    moved = (work.inputs + work.other_elements + work.outputs) / array.activation_bytes_per_cycle
    if work.is_depthwise:
        return moved + work.macs / (array.rows * array.cols)
    if not work.macs:
        return moved
    m, k, n = work.gemm
    return moved + work.groups * m * ceil(k / array.rows) * ceil(n / array.cols)
