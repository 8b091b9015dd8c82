"""Errors of held-out rows and of the simple rules beside them, for scripts/accuracy.py."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from hwsim.cost_models.accuracy import Accuracy, accuracy
from hwsim.cost_models.measurements import Measurement, shipped_network
from hwsim.targets import target

INFERRED = tuple(f"M{number:04}" for number in range(758, 764))
"""Rows of cortex_a.csv whose runtime is an inference; scripts/cortex_a_rows.py says why."""


def errors_of(rows: pd.DataFrame, what: str = "latency", estimated: str = "") -> Accuracy | None:
    """Errors of held-out estimates, or of the column `estimated`, against what was measured."""
    unit = {"latency": "s", "energy": "j"}[what]
    column = estimated or f"held_out_{unit}"
    return accuracy(rows[f"measured_{unit}"].to_numpy(float), rows[column].to_numpy(float))


def simple_rules(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with two estimates more, of medians over rows outside the group held out.

    `macs_s` : cycles are multiply-accumulates times a constant of the target (and of the part of cycles counted)
    `network_s` : cycles are those of the same network (and layer) on the same target
    """
    clock = np.array([target(name).profile.clock_hz for name in rows["target"]])
    table = rows.assign(core=rows["target"].str.partition("@")[0], cycles=rows["measured_s"] * clock)
    table["macs"] = [_macs(*row) for row in rows[["network", "layer", "part"]].itertuples(index=False)]
    table["rate"] = table["cycles"] / table["macs"].where(table["macs"] > 0)
    macs, network = np.full(len(table), np.nan), np.full(len(table), np.nan)
    for group in set(table["group"]):
        here, others = table[table["group"] == group], table[table["group"] != group]
        rates = others.groupby(["core", "part"])["rate"].median()
        same = others.groupby(["core", "network", "layer", "part"])["cycles"].median()
        places = np.flatnonzero(table["group"] == group)
        macs[places] = [rates.get((r.core, r.part), np.nan) * r.macs or np.nan for r in here.itertuples()]
        network[places] = [same.get((r.core, r.network, r.layer, r.part), np.nan) for r in here.itertuples()]
    return rows.assign(macs_s=macs / clock, network_s=network / clock)


def board_energy(rows: pd.DataFrame) -> np.ndarray:
    """Joules: latency by the fit that did not see the board, times its power as measured with other runtimes there."""
    power = rows["measured_j"] / rows["measured_s"]
    found = np.full(len(rows), np.nan)
    for i in np.flatnonzero(rows["measured_j"].notna()):
        other = (rows["target"] == rows["target"].iloc[i]) & (rows["runtime"] != rows["runtime"].iloc[i])
        found[i] = rows["held_out_s"].iloc[i] * power[other].median()
    return found


def relabelled(rows: Sequence[Measurement]) -> list[Measurement]:
    """The rows with the label of their table, XNNPACK, where the runtime is an inference."""
    return [replace(row, runtime="xnnpack-int8") if row.note.startswith(INFERRED) else row for row in rows]


def _macs(network: str, layer: str, part: str) -> int:
    if part not in ("", "compute"):
        return 0
    return sum(work.macs for work in shipped_network(network).works if not layer or work.name == layer)
