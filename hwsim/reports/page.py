"""The report: one HTML page that needs nothing else, a CSV of layers, and a timeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from hwsim._version import __version__
from hwsim.cost_models import Estimate, LayerEstimate, Network, estimate
from hwsim.errors import InputError
from hwsim.graph import Graph
from hwsim.reports import figures
from hwsim.reports.advice import advice
from hwsim.reports.estimate import notes, write_csv
from hwsim.reports.files import write_text
from hwsim.reports.trace import trace
from hwsim.reports.units import kib, percent, si, si_band
from hwsim.simulate import Inputs
from hwsim.simulate.accumulators import accumulators
from hwsim.simulate.sum_bounds import Accumulator
from hwsim.targets import Target


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table of layers."""

    name: str
    number: bool = True


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell: what it shows, what it sorts by, and the share of a bar behind it."""

    text: str
    value: float | str
    number: bool = True
    share: float | None = None
    title: str = ""


COLUMNS = (
    Column("#"),
    Column("op", number=False),
    Column("MACs"),
    Column("latency"),
    Column("share"),
    Column("energy"),
    Column("units busy"),
    Column("bound by", number=False),
    Column("in"),
    Column("out"),
    Column("weights"),
    Column("sum bits"),
    Column("name", number=False),
)


def report(
    network: Graph | Network | str | Path,
    target: str | Path | Target | Sequence[str | Path | Target],
    out: str | Path,
    runtime: str | None = None,
    x: Inputs | None = None,
) -> Path:
    """Write what `network` costs on one target or several into the folder `out`; the path of the page.

    Writes report.html, layers.csv and trace.json (for Perfetto).

    Parameters
    ----------
    x : inputs of a graph, as for `hwsim.simulate`: the page then says how wide sums got beside how wide they can get

    Raises
    ------
    InputError : for a target or runtime that does not exist, or a folder that cannot be written
    """
    machines = [target] if isinstance(target, str | Path | Target) else list(target)
    return write_report([estimate(network, machine, runtime) for machine in machines], Path(out), x)


def write_report(estimates: Sequence[Estimate], folder: Path, x: Inputs | None = None) -> Path:
    """Write the report on `estimates`, which are of one network; the path of the page. `x` as for `report`."""
    if not estimates:
        raise InputError("there is no target to report on; name at least one")
    path = folder / "report.html"
    write_text(path, page(estimates, x))
    write_csv(estimates, folder / "layers.csv")
    write_text(folder / "trace.json", trace(estimates))
    return path


def page(estimates: Sequence[Estimate], x: Inputs | None = None) -> str:
    """The HTML page; `x` as for `report`."""
    environment = Environment(loader=PackageLoader("hwsim.reports"), autoescape=True, trim_blocks=True)
    environment.globals.update(si=si, si_band=si_band, kib=kib, percent=percent)
    several = len(estimates) > 1
    priced = any(e.energy_j is not None for e in estimates)
    return environment.get_template("report.html").render(
        version=__version__,
        network=estimates[0].network,
        estimates=estimates,
        columns=COLUMNS,
        pages=[_part(e, _sums(e, x)) for e in estimates],
        latency_figure=Markup(figures.totals(estimates, "latency")) if several else "",
        energy_figure=Markup(figures.totals(estimates, "energy")) if several and priced else "",
        memory_figure=Markup(figures.memory(estimates[0])),
    )


def _sums(found: Estimate, x: Inputs | None) -> list[Accumulator]:
    """Of the layers of a graph; a table of layers has no weights to sum."""
    graph = found.network.graph
    if graph is None:
        return []
    return accumulators(graph, x, None if x is None else found.profile.engine)


def _part(found: Estimate, sums: list[Accumulator]) -> dict[str, Any]:
    by_layer = {one.index: one for one in sums}
    has_macs = any(layer.work.macs and layer.cost.cycles for layer in found.layers)
    return {
        "advice": advice(found, sums),
        "notes": notes(found, sums),
        "layer_times": Markup(figures.layer_times(found)),
        "roofline": Markup(figures.roofline(found)) if has_macs else "",
        "rows": [_row(i, layer, found.latency_s or 1.0, by_layer.get(i)) for i, layer in enumerate(found.layers)],
    }


def _row(index: int, layer: LayerEstimate, total_s: float, sums: Accumulator | None) -> list[Cell]:
    work, cost = layer.work, layer.cost
    share = layer.latency_s / total_s
    return [
        Cell(str(index), index),
        Cell(work.op, work.op, number=False),
        Cell(f"{work.macs:,}", work.macs),
        Cell(si(layer.latency_s, "s"), layer.latency_s),
        Cell(percent(share), share, share=share),
        Cell(si(layer.energy_j, "J"), layer.energy_j or 0.0),
        Cell(percent(layer.utilization), layer.utilization),
        Cell(cost.bound, cost.bound, number=False),
        Cell("x".join(map(str, work.input_size)), work.inputs),
        Cell("x".join(map(str, work.output_size)), work.outputs),
        Cell(kib(work.weight_bytes), work.weight_bytes),
        _sum_cell(sums),
        Cell(_last_part(work.name), work.name, number=False, title=work.name),
    ]


def _sum_cell(sums: Accumulator | None) -> Cell:
    """How wide a layer's sums can get, whatever the input, and how wide they got."""
    if sums is None:
        return Cell("", 0)
    seen = "" if sums.seen_bits is None else f", seen {sums.seen_bits}"
    return Cell(f"{sums.bits}{seen}", sums.bits, title=f"{sums.low:,} to {sums.high:,} whatever the input")


def _last_part(name: str, width: int = 40) -> str:
    """The end of a name: converters put what tells layers apart last."""
    return name if len(name) <= width else f"...{name[-width:]}"
