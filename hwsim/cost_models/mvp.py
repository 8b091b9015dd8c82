"""Silicon Labs' MVP: a loop nest of vector instructions, and the processor that writes and starts its programs.

Source: the kernel drivers in SiliconLabs/gecko_sdk (sl_mvp_ml_conv2d.c, _depthwise_conv2d.c, _fully_connected.c,
_add.c, _pooling.c: instructions of each loop, the borders that need programs of their own, and which algorithm is
taken), and layers_mltk's measured cycles. Of one output,

    convolution      taps / lanes x (one instruction that loads 4 + 2 bytes), inputs converted to float16 before
    depthwise, fully taps / lanes x (a scaling instruction that loads 2 + 2 bytes, a multiply-add that waits for it)
    maximum, mean    taps / lanes x (one instruction that loads 2 bytes)
    sum              four instructions on a pair, three of which wait for the one before

plus `tail_cycles`; an instruction takes a cycle, or as long as its bytes take on the bus. Taps are those inside the
input: borders get shorter loops in programs of their own. The processor needs `call_cycles` and, for each program,
`program_cycles`; while it writes the next program the last one may run.
"""

from dataclasses import dataclass
from math import ceil

from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.work import FREE, Network, Work
from hwsim.targets.mvp import MvpProfile, MvpRuntime, Vector


@dataclass(frozen=True, slots=True)
class Programs:
    """What one layer asks of the MVP.

    Parameters
    ----------
    kernel : whose constants it uses
    steps : times that the innermost loop runs
    step_cycles : of one of them
    outputs : results, pairs counting as one
    count : programs
    """

    kernel: str
    steps: float
    step_cycles: float
    outputs: float
    count: float


def network_costs(network: Network, profile: MvpProfile, runtime: str) -> list[LayerCost]:
    """The cost of each layer of `network` with the library `runtime`."""
    library = profile.runtimes[runtime]
    return [_layer_cost(work, profile.vector, library) for work in network.works]


def _layer_cost(work: Work, vector: Vector, library: MvpRuntime) -> LayerCost:
    peak = vector.lanes
    wide = max(work.weight_bits, work.activation_bits) > 8
    programs = None if wide else _programs(work, vector)
    if programs is None:
        cycles = _host_cycles(work, library)
        return LayerCost(cycles, cycles, traffic_bytes=_traffic(work), peak_macs_per_cycle=peak)
    kernel = library.kernels[programs.kernel]
    inside = programs.steps * programs.step_cycles + programs.outputs * kernel.tail_cycles
    run = inside + _conversion(work, programs, vector) + programs.count * vector.start_cycles
    write = kernel.call_cycles + programs.count * kernel.program_cycles + work.outputs * kernel.output_cycles
    return LayerCost(
        cycles=max(run, write) + (library.serial if programs.count > 1 else 1.0) * min(run, write),
        compute_cycles=run,
        overhead_cycles=write,
        traffic_bytes=_traffic(work),
        peak_macs_per_cycle=peak,
    )


def _host_cycles(work: Work, library: MvpRuntime) -> float:
    kernel = library.host.get(work.op, library.host["other"])
    elements = max(work.inputs, work.outputs, work.macs)
    return kernel.call_cycles + elements * kernel.element_cycles


def _traffic(work: Work) -> dict[str, tuple[float, float]]:
    moved = (work.input_bytes, work.output_bytes if work.op not in FREE else 0.0)
    return {"sram": moved, "flash": (work.weight_bytes, 0.0)}


def _programs(work: Work, vector: Vector) -> Programs | None:
    """The loop nest of a layer; None where the processor computes it."""
    positions, channels = work.batch * work.output_size[0] * work.output_size[1], work.output_size[2]
    lanes = _lanes(channels, vector)
    outputs = positions * channels / lanes
    if work.op == "conv2d" and work.groups == 1:
        lanes = _lanes(work.input_size[2], vector)
        steps = _taps(work) * work.input_size[2] * channels / lanes
        return Programs("conv2d", steps, 1 + lanes / vector.bus_bytes, work.outputs, _borders(work))
    if work.op == "depthwise_conv2d":
        return _depthwise(work, vector)
    if work.op == "fully_connected":
        steps = work.macs / _lanes(work.inputs, vector)
        return Programs("fully_connected", steps, 2 + vector.stall_cycles, work.outputs, 1)
    if work.op == "max_pool_2d":
        return Programs("max_pool", _taps(work) * channels / lanes, 1.0, outputs, channels / lanes)
    if work.op == "average_pool_2d":
        few = positions <= (9 * work.kernel[0] * work.kernel[1] * channels + 5) // 10
        kernel, count = ("mean_pixels", positions) if few else ("mean_channels", channels / lanes)
        return Programs(kernel, _taps(work) * channels / lanes, 1.0, outputs, count)
    if work.op == "add":
        steps = work.outputs / vector.lanes
        return Programs("add", steps, 4 + 3 * vector.stall_cycles, 0, ceil(steps / vector.longest_vector))
    return None


def _depthwise(work: Work, vector: Vector) -> Programs:
    """A program for each output pixel where inputs are small and deep, else one for each channel and border."""
    height, width, depth = work.input_size
    multiplier = work.output_size[2] // depth
    pixels = multiplier == 1 and height * width <= 4 * work.kernel[0] * work.kernel[1] * depth
    lanes = _lanes(depth if pixels else multiplier, vector)
    positions = work.batch * work.output_size[0] * work.output_size[1]
    outputs = work.outputs / lanes
    steps = _taps(work) * work.output_size[2] / lanes
    count = positions if pixels else _borders(work) * work.output_size[2] / lanes
    return Programs("pixels" if pixels else "channels", steps, 2 + vector.stall_cycles, outputs, count)


def _conversion(work: Work, programs: Programs, vector: Vector) -> float:
    """Cycles to convert a convolution's inputs to float16."""
    return work.inputs / _lanes(work.input_size[2], vector) if programs.kernel == "conv2d" else 0.0


def _lanes(channels: int, vector: Vector) -> int:
    return vector.lanes if channels % vector.lanes == 0 else 1


def _taps(work: Work) -> int:
    """Taps inside the input, over all output positions of one channel."""
    down, across = work.taps_inside
    return work.batch * down * across


def _borders(work: Work) -> int:
    """Programs of a convolution: each border that cuts the filter otherwise, and rows that a filter's height shares."""
    step = work.stride[0]
    return sum(
        1 if rows == 1 or columns == 1 or step >= taps else min(ceil(taps / step), rows)
        for columns, _ in _spans(work, 1)
        for rows, taps in _spans(work, 0)
    )


def _spans(work: Work, axis: int) -> list[tuple[int, int]]:
    """Runs of output positions along an axis: how many, and how many taps of theirs lie inside the input."""
    size, out = work.input_size[axis], work.output_size[axis]
    taps, step = work.kernel[axis], work.stride[axis]
    before = max((out - 1) * step + taps - size, 0) // 2
    edge = min(max((size - taps + before) // step, -1), out - 1)
    inner = -(-before // step)
    borders = [at for at in range(out) if at < inner or at > edge]
    runs = [(1, min(taps, size + before - at * step) - max(0, before - at * step)) for at in borders]
    return runs + ([(edge - inner + 1, taps)] if edge >= inner else [])
