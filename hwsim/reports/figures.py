"""Pictures of estimates as SVG text: no background, and text in the page's own color, so that they suit any theme."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.cost_models import Estimate, LayerEstimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = {"compute": "#0a84c6", "memory": "#e08a00", "overhead": "#8a8f98"}
SERIES = ("#0a84c6", "#e08a00", "#2ca25f", "#c2559c", "#8c6bb1", "#b5651d", "#5aa5a0", "#8a8f98")
VISIBLE = 0.005
_INK = "#010203"
_RC: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


def layer_times(found: Estimate) -> str:
    """Milliseconds of each layer, parted into compute, memory and overhead by their share of what it waits for."""
    seconds = np.array([layer.latency_s for layer in found.layers]) * 1e3
    parts = np.array([[getattr(layer.cost, f"{part}_cycles") for layer in found.layers] for part in PARTS])
    shares = parts / np.maximum(parts.sum(axis=0), 1e-30)
    with _figure(8, 2.6) as figure:
        axes = figure.subplots()
        base = np.zeros(len(seconds))
        for (part, color), share in zip(PARTS.items(), shares, strict=True):
            axes.bar(range(len(seconds)), seconds * share, bottom=base, color=color, label=part, width=0.85)
            base = base + seconds * share
        axes.set_xlabel("layer")
        axes.set_ylabel("ms")
        axes.margins(x=0.01)
        figure.legend(ncols=3, fontsize=9, loc="outside upper right")
        return _svg(figure, f"time of each layer on {found.target.name}")


def totals(estimates: Sequence[Estimate], what: str) -> str:
    """Stacked bars over targets, `what` being 'latency' (ms) or 'energy' (mJ), by operator."""
    known = [e for e in estimates if what == "latency" or e.energy_j is not None]
    names = _operators(known)
    with _figure(8, 1.4 + 0.45 * len(known)) as figure:
        axes = figure.subplots()
        base = np.zeros(len(known))
        for name, color in zip(names, SERIES, strict=False):
            widths = np.array([_sum(e, what, name, names) for e in known]) * 1e3
            axes.barh([e.target.name for e in known], widths, left=base, color=color, label=name, height=0.6)
            base += widths
        for place, total in enumerate(base):
            axes.annotate(f" {total:.3g}", (total, place), va="center", fontsize=9)
        axes.margins(x=0.08)
        axes.invert_yaxis()
        axes.set_xlabel("ms" if what == "latency" else "mJ")
        figure.legend(ncols=4, fontsize=9, loc="outside lower center")
        return _svg(figure, f"{what} by operator")


def roofline(found: Estimate) -> str:
    """MACs per second against MACs per byte through the memory with the least bandwidth; the roofs are the target's."""
    points = [layer for layer in found.layers if layer.work.macs and layer.cost.cycles]
    memory = _narrowest(found)
    intensity = np.array([layer.work.macs / _moved(layer, memory) for layer in points])
    rate = np.array([layer.work.macs / layer.latency_s for layer in points]) / 1e9
    size = np.array([layer.latency_s for layer in points])
    clock = found.profile.clock_hz / 1e9
    roof = max(layer.cost.peak_macs_per_cycle for layer in points) * clock
    with _figure(8, 3) as figure:
        axes = figure.subplots()
        axes.axhline(roof, color=PARTS["compute"], linewidth=1, label=f"peak {roof:.3g} GMAC/s")
        if memory:
            bandwidth = found.profile.memories[memory].bytes_per_cycle * clock
            reach = np.array([intensity.min() / 2, roof / bandwidth, max(intensity.max(), roof / bandwidth) * 2])
            slope = np.minimum(reach * bandwidth, roof)
            axes.plot(reach, slope, color=PARTS["memory"], linewidth=1, label=f"{memory} {bandwidth:.3g} GB/s")
        axes.scatter(intensity, rate, s=20 + 300 * size / size.max(), color=SERIES[2], alpha=0.6, linewidths=0)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(f"MACs per byte through {memory or 'memory'}")
        axes.set_ylabel("GMAC/s")
        axes.legend(fontsize=9, loc="lower right")
        return _svg(figure, f"roofline of {found.target.name}; a dot's area is its layer's time")


def memory(found: Estimate) -> str:
    """Activations alive while each layer runs, and the arena that holds them."""
    live = np.array(found.network.live_bytes) / 1024
    with _figure(8, 2.2) as figure:
        axes = figure.subplots()
        axes.bar(range(len(live)), live, color=SERIES[0], width=1.0, alpha=0.75)
        arena = found.peak_sram_bytes / 1024
        axes.axhline(arena, color=PARTS["memory"], linewidth=1.2)
        axes.annotate(f"arena {arena:.1f} KiB", (len(live) - 0.6, arena), ha="right", va="bottom", fontsize=9)
        axes.set_ylim(0, arena * 1.2)
        axes.set_xlabel("layer")
        axes.set_ylabel("KiB alive")
        axes.margins(x=0.01)
        return _svg(figure, "memory over time")


def _operators(estimates: Sequence[Estimate]) -> list[str]:
    """The operators that take most of the time on some target, and 'other' for the rest."""
    shares: dict[str, float] = {}
    for found in estimates:
        for op in {layer.work.op for layer in found.layers}:
            share = _sum(found, "latency", op, [op]) / (found.latency_s or 1.0)
            shares[op] = max(shares.get(op, 0.0), share)
    names = sorted((op for op in shares if shares[op] > VISIBLE), key=lambda op: -shares[op])[: len(SERIES) - 1]
    return [*names, "other"] if len(names) < len(shares) else names


def _sum(found: Estimate, what: str, op: str, named: Sequence[str]) -> float:
    """Seconds or joules of one operator, or of all that are not named."""
    chosen = [x for x in found.layers if (x.work.op not in named if op == "other" else x.work.op == op)]
    return sum(layer.latency_s if what == "latency" else layer.energy_j or 0.0 for layer in chosen)


def _moved(layer: LayerEstimate, memory: str) -> float:
    """Bytes through `memory`, or where that is unknown all bytes that the layer needs; at least one."""
    work = layer.work
    through = sum(layer.cost.traffic_bytes.get(memory, ()))
    return max(through if memory else work.weight_bytes + work.input_bytes + work.output_bytes, 1.0)


def _narrowest(found: Estimate) -> str:
    """The memory with the least bandwidth; nothing where none is stated."""
    stated = {name: m.bytes_per_cycle for name, m in found.profile.memories.items() if m.bytes_per_cycle}
    return min(stated, key=lambda name: stated[name]) if stated else ""


@contextmanager
def _figure(width: float, height: float) -> "Iterator[Figure]":
    """A figure of the given inches in the house style."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_RC):
        yield Figure(figsize=(width, height), layout="constrained")


def _svg(figure: "Figure", title: str) -> str:
    """The figure as an SVG element that a screen reader can name."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" aria-label="{title}">', text, count=1
    )
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
