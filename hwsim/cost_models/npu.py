"""Neural processors that walk over blocks of outputs: Arm's Ethos-U55, after the compiler Vela.

    layer  = max(npu, SRAM, flash) cycles
    npu    = blocks * max(products, output stage) + the other of the two once
    SRAM   = (inputs under every block + outputs) * bursts / bytes_per_cycle
    flash  = encoded weights and scales / bytes_per_cycle, either read for every block of positions, or copied to SRAM
             while the layer before runs, and what does not fit its time delays this one: whichever is sooner

Equations and the search for blocks: Vela 5.2.0, npu_performance.py, architecture_allocator.py, and for poolings its C++
part, ethos_u55_performance.cpp. Vela estimates too;
no published comparison of it with silicon was found. What Vela does and this does not: cascades of layers in stripes,
and the true size of encoded weights, which depends on their values.
"""

from math import ceil, prod

from hwsim.cost_models._npu_blocks import KERNEL_LIMIT, Block, Layer, best_block, round_up
from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.work import FREE, Network, Work
from hwsim.targets.npu import Npu, NpuProfile

KINDS = {
    "conv2d": "conv", "transpose_conv": "conv", "depthwise_conv2d": "depthwise", "fully_connected": "product",
    "average_pool_2d": "pooling", "max_pool_2d": "pooling", "mean": "pooling",
}  # fmt: skip
IN_PLACE = frozenset({*FREE, "concatenation", "split", "pad", "activation", "relu", "relu6"})
LOOKUPS = frozenset({"logistic", "tanh", "hard_swish", "leaky_relu"})
BURST_BYTES = 32
BRICK = 16
"""Channels that lie together in memory."""

SCALE_BYTES = 10
SOFTMAX_PASSES = 34
SOFTMAX_PASS_CYCLES = 25
"""A softmax is this many elementwise operations in Vela, most on one value per position."""


def network_costs(network: Network, profile: NpuProfile, _runtime: str) -> list[LayerCost]:
    """The cost of each layer of `network`; a layer's weights may arrive while the one before runs."""
    costs: list[LayerCost] = []
    hidden = 0.0
    for index, work in enumerate(network.works):
        costs.append(_layer_cost(work, profile, hidden, first=index == 0))
        hidden = costs[-1].compute_cycles or hidden
    return costs


def _layer_cost(work: Work, profile: NpuProfile, hidden: float, *, first: bool) -> LayerCost:
    npu, sram = profile.npu, profile.memories["sram"]
    if work.op in IN_PLACE:
        return LayerCost(0.0, 0.0)
    layer = _layer(work)
    block = best_block(npu, layer)
    counts = [ceil(size / part) for size, part in zip(layer.output_size, _clip(block, layer), strict=True)]
    passes = ceil(work.activation_bits / 8)
    products = 0.0 if layer.kind == "elementwise" else passes * _products(layer, block, npu)
    brick = 1 if first else BRICK
    reads, writes = _moved(work, layer, block, counts, brick)
    compute = work.batch * _block_time(work, layer, block, counts, products, brick, profile)
    sizes = {"sram": (reads, writes)}
    coded = work.weights * work.weight_bits / 8 * npu.weight_compression + SCALE_BYTES * work.output_size[2]
    wait = 0.0
    if work.weights:
        sizes["flash"] = coded, 0.0
        wait = _wait(work, coded / profile.memories["flash"].bytes_per_cycle, compute, hidden, counts[0] * counts[1])
    memory = (reads * _bursts(block.inputs, brick) + writes) / sram.bytes_per_cycle
    return LayerCost(
        cycles=max(compute + wait, memory),
        compute_cycles=compute,
        memory_cycles=max(memory, compute + wait if wait else 0.0),
        traffic_bytes=sizes,
        peak_macs_per_cycle=npu.macs_per_cycle,
    )


def _wait(work: Work, transfer: float, compute: float, hidden: float, times: int) -> float:
    """Cycles that a layer waits for its weights: read for every block, or copied while the layer before ran."""
    direct = max(0.0, transfer * times - compute)
    return direct if work.op == "fully_connected" else min(direct, max(0.0, transfer - hidden))


def _layer(work: Work) -> Layer:
    kind = KINDS.get(work.op, "elementwise")
    if work.op == "depthwise_conv2d" or not work.is_depthwise:
        kernel = work.input_size[:2] if work.op == "mean" else work.kernel
        return Layer(kind, work.input_size, work.output_size, kernel, work.stride)
    return Layer("depthwise", work.input_size, work.output_size, work.kernel, work.stride)


def _clip(block: Block, layer: Layer) -> tuple[int, int, int]:
    h, w, d = (min(part, size) for part, size in zip(block.outputs, layer.output_size, strict=True))
    return h, w, d


def _products(layer: Layer, block: Block, npu: Npu) -> float:
    """Cycles of the multipliers for one block."""
    h, w, d = _clip(block, layer)
    unit = (npu.unit_height, npu.unit_width)
    if npu.unit_height == 2 and layer.output_size[0] == 1 and layer.output_size[1] % 2 == 0 and layer.kernel[0] == 1:
        unit = (1, 4 if npu.unit_width == 2 else 2)
    positions, depth = ceil(h / unit[0]) * ceil(w / unit[1]), ceil(d / npu.unit_depth)
    slices = ceil(min(layer.input_size[2], block.inputs[2]) / 8)
    total = 0.0
    for taps in _sub_kernels(layer.kernel):
        steps, cycles = _steps(layer, block, taps, positions, depth, slices, npu)
        total += cycles + _delay(positions, depth, steps) * (slices if layer.kind == "conv" and block.by_taps else 1)
    if layer.keeps_depth:
        return total
    return total * ceil(layer.input_size[2] / min(block.inputs[2], layer.input_size[2]))


def _steps(
    layer: Layer, block: Block, taps: int, positions: int, depth: int, slices: int, npu: Npu
) -> tuple[int, float]:
    """Steps of a part of the kernel, and its cycles for a block."""
    least = max(32 * npu.unit_depth // 8, 4 * positions)
    if layer.kind == "pooling":
        return 1, 4 * max(4, taps) * positions * depth
    if layer.kind == "depthwise":
        steps = ceil(taps / 4)
        return steps, least * steps * depth
    if layer.kind == "conv" and block.by_taps:
        steps = ceil(taps / 4)
        return steps, least * steps * slices * depth
    return taps, least * taps * depth


def _delay(positions: int, depth: int, steps: int) -> int:
    """Cycles lost between steps where a block is a single unit wide and high."""
    if positions > 1:
        return 0
    return 2 * steps if depth == 1 else 2 * (steps - 1) * depth


def _sub_kernels(kernel: tuple[int, int]) -> list[int]:
    """Taps of each part of at most 8 by 8."""
    parts = [[min(size - at, KERNEL_LIMIT) for at in range(0, size, KERNEL_LIMIT)] for size in kernel]
    return [down * across for down in parts[0] for across in parts[1]]


def _block_time(
    work: Work, layer: Layer, block: Block, counts: list[int], products: float, brick: int, profile: NpuProfile
) -> float:
    """Cycles of all blocks: products and output stage overlap, the shorter is seen once."""
    npu, sram = profile.npu, profile.memories["sram"]
    held = prod(min(a, b) for a, b in zip(block.inputs, layer.input_size, strict=True))
    made = prod(_clip(block, layer))
    moved = 2 * npu.buffer_start_cycles + (held * _bursts(block.inputs, brick) + made) / sram.bytes_per_cycle
    element = _element_cycles(work, npu)
    if work.op == "softmax":
        return SOFTMAX_PASSES * SOFTMAX_PASS_CYCLES + work.outputs * 6 * element
    if layer.kind == "elementwise":
        whole = prod(block.outputs)
        element = max(element, (moved + element * whole) / 4 / whole)
        return element * layer.output_size[0] * layer.output_size[1] * round_up(layer.output_size[2], BRICK)
    output = float(ceil(element * made))
    if work.weights:
        output = max(output, 10 * min(block.outputs[2], layer.output_size[2]) * 64 / 256)
    command = (moved + output + products) / 4
    products, output = max(products, command), max(output, command)
    return prod(counts) * max(products, output) + min(products, output)


def _element_cycles(work: Work, npu: Npu) -> float:
    cycles = npu.output_cycles
    if work.op in ("add", "sub"):
        return cycles.add
    if work.op in LOOKUPS:
        return cycles.lookup
    return {"mul": cycles.mul, "max_pool_2d": cycles.max_pool}.get(work.op, cycles.other)


def _moved(work: Work, layer: Layer, block: Block, counts: list[int], brick: int) -> tuple[float, float]:
    """Bytes of inputs read and outputs written; depths lie in bricks."""
    height, width, depth = layer.output_size
    width_bytes = ceil(work.activation_bits / 8) * work.batch
    writes = height * width * round_up(depth, BRICK) * width_bytes
    if layer.kind == "elementwise":
        return writes * (2 if work.other_elements else 1), writes
    under = min(block.inputs[0], layer.input_size[0]) * min(block.inputs[1], layer.input_size[1])
    blocks = counts[0] * counts[1] * (1 if layer.keeps_depth else counts[2])
    reads = under * round_up(layer.input_size[2], brick) * blocks * len(_sub_kernels(layer.kernel))
    return reads * width_bytes, writes


def _bursts(inputs: tuple[int, int, int], brick: int) -> float:
    """Bytes of bursts over bytes wanted: a network's input lies without bricks."""
    together = inputs[2] if brick == 1 else BRICK * inputs[1]
    return BURST_BYTES / min(BURST_BYTES, together)
