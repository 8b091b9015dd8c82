"""A fitted target back to its TOML file: values, their new source, and the band of its estimates; comments stay."""

import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tomlkit

from hwsim.cost_models.accuracy import Accuracy, held_out
from hwsim.cost_models.fit import Fit
from hwsim.targets import Target, checked

if TYPE_CHECKING:
    import pandas

DIGITS = 6


def fitted_file(fit: Fit, target: Target, measurements: str) -> str:
    """The TOML text of `target` with the constants of `fit`.

    Parameters
    ----------
    measurements : the name of the file that it was fitted to, for the provenance
    """
    document = tomlkit.parse(target.path.read_text(encoding="utf-8"))
    rows = fit.rows[[name.partition("@")[0] == target.name for name in fit.rows["target"]]]
    source = f"fitted to {measurements} ({len(rows)} rows of this target) by hwsim fit"
    for row in fit.constants.itertuples():
        if target.name in str(row.targets).split(", "):
            number = _at(document, str(row.path))
            number["value"] = float(f"{row.after:.{DIGITS}g}")
            number["source"] = source
    _write_bands(document, rows, measurements)
    text = tomlkit.dumps(document)
    checked(tomllib.loads(text), target.path)
    return text


def with_bands(target: Target, rows: "pandas.DataFrame", measurements: str) -> str:
    """The TOML text of `target` with bands from the held-out `rows` of a fit, its constants as they are."""
    document = tomlkit.parse(target.path.read_text(encoding="utf-8"))
    _write_bands(document, rows[[name.partition("@")[0] == target.name for name in rows["target"]]], measurements)
    text = tomlkit.dumps(document)
    checked(tomllib.loads(text), target.path)
    return text


def _write_bands(document: Any, rows: "pandas.DataFrame", measurements: str) -> None:
    bands = {what: found for what in ("latency", "energy") if (found := held_out(rows, what)) is not None}
    if "bands" in document:
        del document["bands"]  # of an earlier fit
    if bands:
        document["bands"] = _bands(bands, f"held-out rows of {measurements}")


def _bands(found: Mapping[str, Accuracy], source: str) -> Any:
    table = tomlkit.table(is_super_table=True)
    for what, errors in found.items():
        part = tomlkit.table()
        values = {"low": errors.low, "high": errors.high, "median_error": errors.median, "rows": errors.rows}
        for key, value in values.items():
            number = tomlkit.inline_table()
            number.update({"value": value if key == "rows" else float(f"{value:.4g}"), "source": source})
            part[key] = number
        table[what] = part
    return table


def _at(document: Any, path: str) -> Any:
    """The number at the dotted `path`; keys may hold dots themselves."""
    if path in document:
        return document[path]
    for key in document:
        if path.startswith(f"{key}."):
            return _at(document[key], path.removeprefix(f"{key}."))
    raise KeyError(path)
