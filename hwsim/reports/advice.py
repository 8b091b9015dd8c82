"""What a reader should do about a network on a target: the layers that matter, why they are slow, what would help."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod

from hwsim.cost_models import Estimate, LayerEstimate, estimate
from hwsim.reports.estimate import over_capacity, overflows
from hwsim.reports.units import kib, percent, si
from hwsim.simulate.sum_bounds import Accumulator

MATTERS = 0.08
"""A layer with this share of the time is worth a word."""

MOST = 5
FEW_CHANNELS = 4
LOW_USE = 0.25
NOTICED = 0.005


def advice(found: Estimate, sums: Sequence[Accumulator] | None = None) -> list[str]:
    """Sentences, the most important first; each rests on figures of this estimate or of a changed one.

    sums : of the graph's layers, by default what the weights guarantee
    """
    return [
        *over_capacity(found),
        *overflows(found, sums),
        *_slow_layers(found),
        *_narrower_weights(found),
        *_memory_peak(found),
    ]


def _slow_layers(found: Estimate) -> Iterator[str]:
    total = found.latency_s or 1.0
    slowest = sorted(found.layers, key=lambda layer: -layer.latency_s)[:MOST]
    matter = [layer for layer in slowest if layer.latency_s / total >= MATTERS]
    if not matter:
        few = sum(layer.latency_s for layer in slowest) / total
        yield f"no layer stands out: the {len(slowest)} slowest of {len(found.layers)} take {percent(few)} of the time"
    for layer in matter:
        name = f"{layer.work.op} {found.layers.index(layer)}"
        yield f"{name} takes {percent(layer.latency_s / total)} of the time ({si(layer.latency_s, 's')}): {_why(layer)}"


def _why(layer: LayerEstimate) -> str:
    work, cost = layer.work, layer.cost
    if cost.bound == "memory":
        moved = max(cost.traffic_bytes.items(), key=lambda item: sum(item[1]), default=("memory", (0.0, 0.0)))
        what = "weights" if work.weight_bytes > work.input_bytes + work.output_bytes else "activations"
        return f"it waits for {kib(sum(moved[1]))} through {moved[0]}, mostly {what}; narrower {what} would help"
    if cost.bound == "overhead":
        return f"starting it costs {percent(cost.overhead_cycles / cost.cycles)} of it; fewer, larger layers would help"
    if work.is_depthwise:
        return (
            f"a depthwise layer multiplies each input with {prod(work.kernel)} weights only, "
            f"so units are {percent(layer.utilization)} busy; a plain convolution of fewer channels may be faster"
        )
    if work.macs and work.input_size[2] <= FEW_CHANNELS:
        return (
            f"{work.input_size[2]} input channels leave units {percent(layer.utilization)} busy; "
            "a larger stride or a smaller image would help"
        )
    if work.macs and layer.utilization < LOW_USE:
        busy = percent(layer.utilization)
        return f"its shape keeps units {busy} busy; more channels, in multiples of eight, use them better"
    if work.macs:
        busy = percent(layer.utilization)
        return f"it is {work.macs:,} MACs at {busy} of the peak; fewer channels or positions would help"
    return f"{work.outputs:,} elements without a multiplication; fusing it into its neighbor would save it"


def _narrower_weights(found: Estimate) -> Iterator[str]:
    """What 4-bit weights would change, from an estimate of just that."""
    network = found.network
    if any(work.weight_bits != 8 for work in network.works if work.weights):
        return
    works = tuple(replace(work, weight_bits=4) if work.weights else work for work in network.works)
    saved = sum(work.weights for work in network.works) // 2
    there = estimate(replace(network, works=works), found.target, found.runtime or None)
    change = there.latency_s / found.latency_s - 1 if found.latency_s else 0.0
    speed = f"{percent(abs(change))} {'slower' if change > 0 else 'faster'}" if abs(change) >= NOTICED else "as fast"
    yield f"4-bit weights would save {kib(saved)} of flash and run {speed}"


def _memory_peak(found: Estimate) -> Iterator[str]:
    live = found.network.live_bytes
    peak = max(range(len(live)), key=lambda i: live[i])
    work = found.network.works[peak]
    yield (
        f"activations peak at {kib(found.peak_sram_bytes)} around {work.op} {peak} "
        f"({'x'.join(map(str, work.input_size))} in, {'x'.join(map(str, work.output_size))} out)"
    )
