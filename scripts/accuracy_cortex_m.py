"""How well the Cortex-M model predicts boards that it never saw, beside naive baselines.

    python scripts/accuracy_cortex_m.py            (minutes: one fit per board)

Prints what `evaluate` returns; no file is written here.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
import hwsim  # noqa: E402
from hwsim.cost_models.accuracy import accuracy  # noqa: E402
from hwsim.cost_models.measurements import read_measurements, shipped_network  # noqa: E402
from hwsim.targets import target  # noqa: E402

MEASUREMENTS = ROOT / "hwsim" / "targets" / "measurements" / "cortex_m.csv"
FITTED = ("cortex-m4", "cortex-m33", "cortex-m7")


def evaluate(hold_out: str = "device") -> pd.DataFrame:
    """The rows of `hwsim fit`, with the two baselines: `macs_s` (constant per core) and `network_s` (and network)."""
    rows = read_measurements(MEASUREMENTS)
    found = hwsim.fit([target(name) for name in FITTED], rows, hold_out=hold_out)
    return with_baselines(found.rows)


def with_baselines(rows: pd.DataFrame) -> pd.DataFrame:
    """Cycles of unseen boards as the median of those of seen ones, per MAC and core, or per network and core."""
    clock = np.array([target(name).profile.clock_hz for name in rows["target"]])
    macs = rows["network"].map({name: shipped_network(name).macs for name in set(rows["network"])})
    table = rows.assign(core=rows["target"].str.partition("@")[0], cycles=rows["measured_s"] * clock)
    table["per_mac"] = table["cycles"] / macs
    for name, keys, value in (("macs", ["core"], "per_mac"), ("network", ["core", "network"], "cycles")):
        found = np.full(len(table), np.nan)
        for board in set(table["device"]):
            medians = table[table["device"] != board].groupby(keys)[value].median()
            here = np.flatnonzero(table["device"] == board)
            wanted = [tuple(row) if len(keys) > 1 else row[0] for row in table.iloc[here][keys].to_numpy()]
            found[here] = [medians.get(key, np.nan) for key in wanted]
        rows = rows.assign(**{f"{name}_s": found * (macs if name == "macs" else 1) / clock})
    return rows


def energy(rows: pd.DataFrame) -> pd.Series:
    """Joules: latency by the fit that did not see the board, times its power as measured with other runtimes there.

    No model of a core knows a board's supply and regulator: the power of a board that nobody measured is unknown.
    """
    power = rows["measured_j"] / rows["measured_s"]
    found = np.full(len(rows), np.nan)
    for i in np.flatnonzero(rows["measured_j"].notna()):
        other = (rows["target"] == rows["target"].iloc[i]) & (rows["runtime"] != rows["runtime"].iloc[i])
        found[i] = rows["held_out_s"].iloc[i] * power[other].median()
    return pd.Series(found, rows.index)


def summary(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Rows, median error, shares within 10, 25 and 50 % of the held-out estimates, by `keys`."""
    parts = []
    for values, group in rows.groupby(keys):
        found = accuracy(group["measured_s"].to_numpy(), group["held_out_s"].to_numpy())
        fitted = accuracy(group["measured_s"].to_numpy(), group["fitted_s"].to_numpy())
        cells = (found.rows, found.median, *found.within) if found else (0, *[np.nan] * 4)
        parts.append([*values, len(group), fitted.median if fitted else np.nan, *cells])
    columns = [*keys, "measured", "fitted_median", "held_out", "median", "within_10", "within_25", "within_50"]
    return pd.DataFrame(parts, columns=columns)


def main() -> None:
    """Print the tables."""
    rows = evaluate()
    for name in ("fitted", "held_out", "macs", "network"):
        print(f"{name:9}", accuracy(rows["measured_s"].to_numpy(), rows[f"{name}_s"].to_numpy()))
    print("energy   ", accuracy(rows["measured_j"].to_numpy(), energy(rows).to_numpy()))
    for keys in (["device"], ["runtime"], ["device", "runtime"]):
        print(summary(rows, keys).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
