"""What a network costs on targets: tables for the terminal, and the same facts as JSON or CSV."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hwsim.cost_models import Estimate
from hwsim.reports.console import Facts, table
from hwsim.reports.files import write_text
from hwsim.reports.sums import target_overflows
from hwsim.reports.units import kib, percent, si, si_band
from hwsim.simulate.sum_bounds import Accumulator, guaranteed

MANY = 10


def estimate_facts(estimate: Estimate) -> Facts:
    """What `hwsim estimate --json` says of one target."""
    profile = estimate.profile
    return {
        "network": estimate.network.name,
        "target": estimate.target.name,
        "runtime": estimate.runtime,
        "engine": profile.engine,
        "engine_assumed": profile.engine_assumed,
        "macs": estimate.network.macs,
        "cycles": estimate.cycles,
        "clock_hz": profile.clock_hz,
        "latency_s": estimate.latency_s,
        "latency_band_s": estimate.latency_band_s,
        "energy_j": estimate.energy_j,
        "energy_band_j": estimate.energy_band_j,
        "peak_sram_bytes": estimate.peak_sram_bytes,
        "peak_sram_is_exact": estimate.network.arena_exact,
        "flash_bytes": estimate.flash_bytes,
        "utilization": estimate.utilization,
        "notes": notes(estimate),
        "layers": estimate.table.to_dict("records"),
        "provenance": {
            path: {"value": number.value, "source": number.source} for path, number in estimate.provenance.items()
        },
    }


def notes(estimate: Estimate, sums: Sequence[Accumulator] | None = None) -> list[str]:
    """What a reader must know of an estimate before believing it; `sums` as for `overflows`."""
    profile = estimate.profile
    found = []
    for what, band, given in (
        ("latency", profile.bands.latency, True),
        ("energy", profile.bands.energy, estimate.energy_j is not None),
    ):
        if not given:
            found.append(f"{what}: {profile.name} says nothing of it")
        elif band is None:
            found.append(f"{what}: no device of this class was ever compared with a measurement; there is no band")
        else:
            share = "nine of ten of" if band.rows >= MANY else "all, but only"
            found.append(
                f"{what}: {share} {band.rows} held-out measurements lay {band.low:.2f} to {band.high:.2f} "
                f"times the estimate; median error {percent(band.median_error)}"
            )
    if profile.engine_assumed:
        found.append(f"arithmetic: {profile.engine} is assumed; its own is not public or not modeled")
    if not estimate.network.arena_exact:
        found.append("peak SRAM: a lower bound; a table of layers does not say which tensors live on")
    found.extend(over_capacity(estimate))
    found.extend(overflows(estimate, sums))
    return found


def overflows(estimate: Estimate, sums: Sequence[Accumulator] | None = None) -> list[str]:
    """Which layers' sums may leave the target's accumulator; `sums` of the graph, by default what weights guarantee."""
    if sums is None:
        sums = guaranteed(estimate.network.graph) if estimate.network.graph is not None else ()
    return target_overflows(sums, estimate.profile)


def over_capacity(estimate: Estimate) -> list[str]:
    """Which memory the network does not fit."""
    memories = estimate.profile.memories
    asked = (("sram", estimate.peak_sram_bytes, "activations"), ("flash", estimate.flash_bytes, "constants"))
    return [
        f"{name}: {what} need {kib(size)}, {estimate.target.name} has {kib(memories[name].size_bytes)}"
        for name, size, what in asked
        if name in memories and size > memories[name].size_bytes
    ]


def print_estimates(
    console: Console, estimates: Sequence[Estimate], layers: bool = True, notes_too: bool = True
) -> None:
    """Summaries side by side, with what to know before believing them; with one target, its layers too."""
    first = estimates[0].network
    several = len({e.network.name for e in estimates}) > 1
    console.print(f"{first.name}: {len(first.works)} layers, {first.macs:,} MACs", highlight=False)
    console.print(_summary(estimates, several))
    about = dict.fromkeys(f"{e.target.name}: {note}" for e in estimates for note in notes(e)) if notes_too else ()
    for note in about:
        console.print(note, style="dim", highlight=False, soft_wrap=True)
    if layers and len(estimates) == 1:
        console.print(_layers(estimates[0]))


def write_csv(estimates: Sequence[Estimate], path: Path) -> None:
    """One line per layer and target."""
    import pandas as pd

    tables = [e.table.assign(target=e.target.name, runtime=e.runtime) for e in estimates]
    write_text(path, pd.concat(tables).to_csv(index=False))


def _summary(estimates: Sequence[Estimate], several: bool) -> Table:
    units = any(datapath(e) not in ("multiply", "-") for e in estimates)
    rows = [
        (
            e.target.name,
            e.runtime or "-",
            *([e.network.name.rpartition(" ")[2]] if several else []),
            *([datapath(e)] if units else []),
            si_band(e.latency_s, e.latency_band_s, "s"),
            si_band(e.energy_j, e.energy_band_j, "J"),
            kib(e.peak_sram_bytes),
            kib(e.flash_bytes),
            percent(e.utilization),
        )
        for e in estimates
    ]
    words = ("target", "runtime", *(["weights"] if several else []), *(["by"] if units else []))
    numbers = ("latency", "energy", "peak SRAM", "flash", "use")
    return table("", (*words, *numbers), rows, numbers)


def datapath(estimate: Estimate) -> str:
    """What most of the multiply-accumulates are done with; a dash where there are none."""
    macs: dict[str, int] = {"-": 0}
    for layer in estimate.layers:
        macs[layer.cost.datapath] = macs.get(layer.cost.datapath, 0) + layer.work.macs
    return max((name for name in macs if macs[name]), key=lambda name: macs[name], default="-")


def _layers(estimate: Estimate) -> Table:
    total = estimate.latency_s or 1.0
    rows = [
        (
            index,
            layer.work.op,
            f"{layer.work.macs:,}",
            f"{layer.cost.cycles:,.0f}",
            si(layer.latency_s, "s"),
            percent(layer.latency_s / total),
            si(layer.energy_j, "J"),
            percent(layer.utilization),
            layer.cost.bound,
            layer.work.name,
        )
        for index, layer in enumerate(estimate.layers)
    ]
    columns = ("#", "op", "MACs", "cycles", "latency", "share", "energy", "use", "bound by", "name")
    return table("layers", columns, rows, ("#", *columns[2:8]))
