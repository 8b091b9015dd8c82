"""Measured latencies and energies: what a target is fitted to, and what judges it."""

import csv
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from hwsim.cost_models.layer_table import read_layer_table
from hwsim.cost_models.work import Network
from hwsim.errors import InputError, unknown
from hwsim.targets import NETWORKS

COLUMNS = (
    *("target", "network", "runtime", "device", "settings", "layer", "part"),
    *("latency_ms", "energy_uj", "source", "note"),
)
NETWORK_SUFFIXES = (".csv", ".tflite", ".hwsim")
"""Of networks that measurements name by their path."""

PARTS = ("", "compute", "memory", "overhead")
NEEDED = ("network", "device", "latency_ms")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured run.

    Parameters
    ----------
    target : name of the profile it ran on, with @board if wanted; empty for the one being fitted
    network : name of a shipped table of layers, or the path of one, or of a model
    runtime : of the target; empty for its default
    device : the board or chip it was measured on: rows of one device are held out together
    settings : other values for the target's numbers
    layer : name or index of the only layer that was timed; empty for the whole network
    part : 'compute', 'memory' or 'overhead' where only these cycles of the layers were counted; empty for all
    latency_s, energy_j : as measured; energy is None where it was not
    source : where the figures are published
    note : what else is known of the row
    """

    target: str
    network: str
    runtime: str
    device: str
    settings: tuple[tuple[str, float], ...]
    layer: str
    part: str
    latency_s: float
    energy_j: float | None
    source: str
    note: str = ""


def read_measurements(path: Path) -> list[Measurement]:
    """The rows of a CSV file with the columns `COLUMNS`, of which network, device and latency_ms must be there.

    Raises
    ------
    InputError : names the line and the value that is not what it should be
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not text ({error})") from None
    reader = csv.DictReader(lines, restval="")
    missing = [column for column in NEEDED if column not in (reader.fieldnames or [])]
    if missing:
        raise InputError(f"{path.name}: column {missing[0]!r} is missing; expected {', '.join(COLUMNS)}")
    rows = [_measurement(row, f"{path.name} line {number}") for number, row in enumerate(reader, start=2)]
    if not rows:
        raise InputError(f"{path.name}: has no rows; expected one measurement per line")
    return rows


def shipped_network(name: str) -> Network:
    """The table of layers called `name` among those that hwsim brings, or the table at the path `name`."""
    path = NETWORKS / f"{name}.csv"
    return read_layer_table(path if path.exists() else Path(name))


def _measurement(row: dict[str, str], where: str) -> Measurement:
    cell = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
    energy, part = cell.get("energy_uj", ""), cell.get("part", "")
    if part not in PARTS:
        raise InputError(f"{where}: {unknown('part', part, PARTS[1:])}")
    return Measurement(
        target=cell.get("target", ""),
        network=cell["network"],
        runtime=cell.get("runtime", ""),
        device=cell["device"],
        settings=tuple(_setting(part, where) for part in cell.get("settings", "").split(";") if part.strip()),
        layer=cell.get("layer", ""),
        part=part,
        latency_s=_positive(cell["latency_ms"], f"{where}: latency_ms") * 1e-3,
        energy_j=_positive(energy, f"{where}: energy_uj") * 1e-6 if energy else None,
        source=cell.get("source", ""),
        note=cell.get("note", ""),
    )


def _setting(text: str, where: str) -> tuple[str, float]:
    key, separator, value = text.partition("=")
    if not separator:
        raise InputError(f"{where}: setting {text!r} has no value; expected number=value, for instance clock_hz=80e6")
    return key.strip(), _positive(value, f"{where}: {key.strip()}", zero=True)


def _positive(text: str, where: str, zero: bool = False) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not isfinite(value) or value < 0 or (value == 0 and not zero):
        raise InputError(f"{where} is {text!r}; expected a number above 0")
    return value
