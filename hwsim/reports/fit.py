"""What a fit found, for the terminal and as JSON."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from hwsim.cost_models.accuracy import Accuracy, accuracy, held_out
from hwsim.cost_models.fit import Fit
from hwsim.reports.console import Facts, table
from hwsim.reports.units import percent


def fit_facts(fit: Fit) -> Facts:
    """What `hwsim fit --json` says."""
    rows = fit.rows
    seen = {
        what: accuracy(rows[f"measured_{unit}"].to_numpy(float), rows[f"fitted_{unit}"].to_numpy(float))
        for what, unit in (("latency", "s"), ("energy", "j"))
    }
    return {
        "constants": fit.constants.to_dict("records"),
        "fitted": {what: _facts(found) for what, found in seen.items()},
        "held_out": {what: _facts(held_out(rows, what)) for what in seen},
        "rows": rows.to_dict("records"),
    }


def print_fit(console: Console, fit: Fit, written: Sequence[Path]) -> None:
    """`hwsim fit` for people."""
    found = fit_facts(fit)
    values = [(c["path"], c["targets"], f"{c['before']:.4g}", f"{c['after']:.4g}") for c in found["constants"]]
    console.print(table("constants", ("number", "targets", "before", "fitted"), values, ("before", "fitted")))
    columns = ("what", "rows", "median error", "within 10 %", "within 25 %", "within 50 %")
    errors = [
        (f"{what}, {how}", e["rows"], percent(e["median_error"]), *(percent(share) for share in e["within"]))
        for how, part in (("fitted", found["fitted"]), ("held out", found["held_out"]))
        for what, e in part.items()
        if e is not None
    ]
    console.print(table("errors", columns, errors, columns[1:]))
    for path in written:
        console.print(f"written: {path}", highlight=False, soft_wrap=True)


def _facts(found: Accuracy | None) -> Facts | None:
    if found is None:
        return None
    return {
        "rows": found.rows,
        "median_error": found.median,
        "within": found.within,
        "measured_over_estimated": (found.low, found.high),
    }
