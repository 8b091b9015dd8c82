"""GPUs with tensor cores.

    waves   = tiles of outputs / multiprocessors
    product = waves * tile * depth / macs_per_cycle, sizes rounded up to whole tiles and instructions
    compute = product / utilization * (fixed_share + (1 - fixed_share) * bits / 8)
    memory  = (inputs + weights + outputs * output_bytes) / bytes_per_cycle
    layer   = (compute + memory) * scale

Compute and memory add up because TVM's kernels write their outputs after the sums (Yao et al., HAWQ-V3, arXiv
2011.10680, whose kernels and times on a T4 this follows). Operands of one product are as wide as the wider of both.
Fits found no cost of starting a kernel and all of the memory's bandwidth, so neither is a constant. A layer timed
alone took longer than its share of a network (their own table): `scale` says by how much.
"""

from math import ceil

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.work import FREE, Network, Work
from hwsim.targets.tensor_core import TensorCoreProfile

FUSED = frozenset({*FREE, "pad", "activation", "relu", "relu6"})
WIDTHS = (4, 8, 16, 32)
"""Of operands that the units multiply; others take the next."""


def network_costs(network: Network, profile: TensorCoreProfile, runtime: str) -> list[LayerCost]:
    """The cost of each layer of `network` with the kernels of `runtime`."""
    scale = profile.runtimes[runtime].scale
    return [_layer_cost(work, profile, scale) for work in network.works]


def _layer_cost(work: Work, profile: TensorCoreProfile, scale: float) -> LayerCost:
    if work.op in FUSED:
        return LayerCost(0.0, 0.0)
    bits = next(width for width in WIDTHS if width >= min(max(work.multiplied_bits), WIDTHS[-1]))
    compute = _product(work, bits, profile) if work.macs else _lanes(work, profile)
    writes = work.outputs * profile.kernels.output_bytes if work.macs else work.output_bytes
    reads = _touched(work) * work.activation_bits / 8 + work.weight_bytes
    memory = (reads + writes) / profile.memories["dram"].bytes_per_cycle
    return LayerCost(
        cycles=(compute + memory) * scale,
        compute_cycles=compute * scale,
        memory_cycles=memory * scale,
        traffic_bytes={"dram": (reads, writes)},
        peak_macs_per_cycle=profile.gpu.multiprocessors * profile.gpu.macs_per_cycle * 8 / bits,
    )


def _product(work: Work, bits: int, profile: TensorCoreProfile) -> float:
    if work.is_depthwise:
        return work.macs / (profile.gpu.multiprocessors * profile.gpu.lane_ops_per_cycle)
    gpu, kernels = profile.gpu, profile.kernels
    m, k, n = work.gemm
    step = max(gpu.depth_bits // bits, 1)
    tiles = ceil(m / gpu.tile_rows) * ceil(n / gpu.tile_cols) * work.groups
    waves = max(tiles / gpu.multiprocessors, 1.0)
    cycles = waves * gpu.tile_rows * gpu.tile_cols * ceil(k / step) * step / gpu.macs_per_cycle
    return cycles / kernels.utilization * (kernels.fixed_share + (1 - kernels.fixed_share) * bits / 8)


def _touched(work: Work) -> int:
    """Elements of inputs that are read: a stride beyond the kernel skips some."""
    under = work.batch * work.output_size[0] * work.output_size[1] * work.kernel[0] * work.kernel[1]
    return min(work.inputs, under * work.input_size[2]) + work.other_elements


def _lanes(work: Work, profile: TensorCoreProfile) -> float:
    operations = work.outputs * max(work.kernel[0] * work.kernel[1], 1)
    return operations / (profile.gpu.multiprocessors * profile.gpu.lane_ops_per_cycle)
