"""How far estimates of accelerators lie from what was measured: `evaluate()` as data, or printed.

Held-out rows: all of one network (or device) are predicted by a fit to the others. Beside them two simple rules: cycles
are multiply-accumulates times a constant per target, also fitted without the network; and the median of what other
devices of the same target took for that network. For Ethos-U there is only the compiler's own estimate to compare with.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from hwsim.cost_models import estimate
from hwsim.cost_models.accuracy import accuracy
from hwsim.cost_models.fit import fit
from hwsim.cost_models.measurements import Measurement, read_measurements, shipped_network
from hwsim.targets import target

FOLDER = Path(__file__).parent.parent / "hwsim" / "targets" / "measurements"
CLASSES = {"edge_tpu": ["coral-edgetpu"], "gpu_t4": ["nvidia-t4"], "gap": ["gap9", "gap8"]}


def evaluate() -> pd.DataFrame:
    """Errors per class: rows, devices, how rows were held out, median, shares, and the simple rules' medians."""
    found = []
    for name, targets in CLASSES.items():
        rows = read_measurements(FOLDER / f"{name}.csv")
        for hold_out in ("network", "device"):
            if len({getattr(row, hold_out) for row in rows}) < 2 or (name, hold_out) == ("gap", "device"):
                continue
            result = fit([target(each) for each in targets], rows, hold_out=hold_out).rows
            for what, unit in (("latency", "s"), ("energy", "j")):
                errors = accuracy(result[f"measured_{unit}"].to_numpy(), result[f"held_out_{unit}"].to_numpy())
                if errors is None:
                    continue
                facts = [name, what, hold_out, errors.rows, len({row.device for row in rows}), errors.median]
                rules = _rules(rows) if what == "latency" else (np.nan, np.nan)
                found.append([*facts, *errors.within, *rules])
    columns = ["class", "what", "held out", "rows", "devices", "median", "within 10 %", "within 25 %", "within 50 %"]
    return pd.DataFrame(found, columns=[*columns, "macs rule", "network rule"])


def against_vela() -> pd.DataFrame:
    """Cycles of Ethos-U55 as estimated here and by Vela 5.2.0, which is no silicon either."""
    rows = read_measurements(FOLDER / "ethos_u_vela.csv")
    found = []
    for row in rows:
        plain, told = (_cycles(row, settings) for settings in ({}, dict(row.settings)))
        found.append([row.target, row.network, round(row.latency_s * 500e6), round(told), round(plain)])
    frame = pd.DataFrame(found, columns=["target", "network", "Vela", "same weights", "unknown weights"])
    frame["error"] = frame["same weights"] / frame["Vela"] - 1
    return frame


def tensor_cores() -> dict[str, float]:
    """ResNet-50 at 4 and 8 bits on a T4: the ratio of both, and how well layers are ranked.

    Held out: each width by a fit that saw neither its network nor its layers.
    """
    every = read_measurements(FOLDER / "gpu_t4.csv")
    rows = [row for row in every if row.network.endswith(("w8a8", "w4a4"))]
    facts: dict[str, float] = {}
    totals: dict[str, tuple[float, float]] = {}
    for bits in ("w8a8", "w4a4"):
        of_bits = [row for row in rows if row.network.endswith(bits)]
        whole = next(row for row in of_bits if not row.layer)
        totals[bits] = whole.latency_s, estimate(shipped_network(whole.network), "nvidia-t4", "tvm").latency_s
        layers = {layer.work.name: layer.latency_s for layer in _alone(whole)}
        pairs = [(row.latency_s, layers[row.layer]) for row in of_bits if row.layer]
        ranks = pd.DataFrame(pairs).corr("spearman").iloc[0, 1]
        facts[f"rank correlation of {len(pairs)} layers, {bits}"] = float(ranks)
    for what, position in (("measured", 0), ("estimated", 1)):
        facts[f"ratio 8:4 bits, {what}"] = totals["w8a8"][position] / totals["w4a4"][position]
    unseen = fit([target("nvidia-t4")], every, hold_out="network").rows
    eight, four = (
        float(unseen[(unseen["layer"] == "") & unseen["network"].str.endswith(bits)]["held_out_s"].iloc[0])
        for bits in ("w8a8", "w4a4")
    )
    facts["ratio 8:4 bits, held out"] = eight / four
    return facts


def _alone(row: Measurement):
    return estimate(shipped_network(row.network), "nvidia-t4", "tvm-alone").layers


def _cycles(row: Measurement, settings: dict[str, float]) -> float:
    return estimate(shipped_network(row.network), row.target, settings=settings).cycles


def _rules(rows: list[Measurement]) -> tuple[float, float]:
    """Median errors of the two simple rules over whole networks; NaN where a rule has nothing to go by."""
    whole = [row for row in rows if not row.layer]
    macs = {row.network: shipped_network(row.network).macs for row in whole}
    by_macs, by_network = [], []
    for row in whole:
        rates = [r.latency_s / macs[r.network] for r in whole if r.target == row.target and r.network != row.network]
        others = [r.latency_s for r in whole if r.network == row.network and r.device != row.device]
        same = [r.latency_s for r in whole if (r.network, r.target) == (row.network, row.target) and r is not row]
        if rates:
            by_macs.append(abs(np.median(rates) * macs[row.network] / row.latency_s - 1))
        if same or others:
            by_network.append(abs(np.median(same or others) / row.latency_s - 1))
    return tuple(float(np.median(errors)) if errors else np.nan for errors in (by_macs, by_network))  # type: ignore[return-value]


def main() -> None:
    """Print everything."""
    print(evaluate().round(3).to_string(index=False), against_vela().round(3).to_string(index=False), sep="\n\n")
    for name, value in tensor_cores().items():
        print(f"{name}: {value:.3f}")


if __name__ == "__main__":
    main()
