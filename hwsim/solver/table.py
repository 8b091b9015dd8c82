"""The user's table, checked: one row for each layer and choice, with its degradation and its costs.

Columns: `layer`, `choice` (any names), `degradation`, and one column for each cost. Tied layers take the same choice,
so they are one group, whose costs are the sums (of a peak cost, the largest) over its layers.
"""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.errors import InputError, unknown
from hwsim.solver.problem import ROUNDING, Floats, Indices, Problem

if TYPE_CHECKING:
    import pandas as pd

REQUIRED = ("layer", "choice", "degradation")

LARGEST = 1e30
"""Numbers beyond this are taken for mistakes."""


@dataclass(frozen=True, slots=True)
class Table:
    """A checked table, its rows gathered into groups of tied layers.

    layers : names in order of first appearance
    members : the layers of each group, as indices into `layers`
    starts : int64, shape (groups + 1,): group g has columns starts[g] to starts[g + 1] - 1
    choices : the choice of each column
    numbers : float64, shape (columns,), of each group and choice: "degradation" and every complete cost
    peaks : the costs of which the largest counts, not the sum
    """

    layers: Sequence[Hashable]
    members: Sequence[Sequence[int]]
    starts: Indices
    choices: Sequence[Hashable]
    numbers: Mapping[str, Floats]
    peaks: frozenset[str]

    @property
    def costs(self) -> list[str]:
        """The names of the costs."""
        return [name for name in self.numbers if name != "degradation"]

    def total(self, name: str, picks: Indices) -> float:
        """The sum, or the largest, of the number `name` over one column of each group."""
        taken = self.numbers[name][picks]
        return float(taken.max()) if name in self.peaks else math.fsum(taken)

    def choice(self, picks: Indices) -> dict[Any, Any]:
        """The choice of every layer, in the table's order of layers."""
        chosen = {layer: self.choices[p] for p, group in zip(picks, self.members, strict=True) for layer in group}
        return {name: chosen[i] for i, name in enumerate(self.layers)}

    def problem(self, weights: Mapping[str, float], limits: Mapping[str, float]) -> tuple[Problem, Indices] | None:
        """The problem of minimizing the weighted sum within `limits`, and which column each of its columns is.

        A limit on a peak cost takes away the choices above it; None where that leaves a group without any.
        """
        columns = np.arange(len(self.choices))
        for name in self.peaks & limits.keys():
            reach = limits[name] + ROUNDING * abs(limits[name])
            columns = columns[self.numbers[name][columns] <= reach]
        kept = np.bincount(np.repeat(np.arange(len(self.members)), np.diff(self.starts))[columns])
        if len(kept) < len(self.members) or not kept.all():
            return None
        starts = np.concatenate([[0], np.cumsum(kept)])
        added = [name for name in limits if name not in self.peaks]
        value = sum((weight * self.numbers[name] for name, weight in weights.items()), np.zeros(len(self.choices)))
        cost = np.array([self.numbers[name][columns] for name in added]).reshape(len(added), len(columns))
        return Problem(starts, value[columns], cost, np.array([limits[name] for name in added], float)), columns


def read_table(
    frame: "pd.DataFrame", used: Iterable[str], ties: Iterable[Sequence[Any]], peaks: Iterable[str]
) -> Table:
    """Check `frame` and gather it; `used` are the cost columns that must be there and complete.

    Raises InputError for a missing or doubled column or row, a number that is missing, infinite, or (in a cost)
    negative, an unknown layer in a tie, or tied layers without a common choice.
    """
    _check_frame(frame)
    peaks, numeric = frozenset(_names("peaks", peaks)), _numeric(frame)
    for name in {*used, *peaks} - {"degradation"}:
        if name not in numeric:
            raise InputError(_no_cost(frame, name, numeric))
    numbers = {name: frame[name].to_numpy(float, na_value=np.nan) for name in ("degradation", *numeric)}
    must = {"degradation", *used, *peaks}
    numbers = {name: n for name, n in numbers.items() if name in must or (np.isfinite(n).all() and n.min() >= 0)}
    for name in must:
        _check_numbers(frame, name, numbers[name])
    layers = list(dict.fromkeys(frame["layer"].tolist()))
    return _gathered(frame, layers, _groups(layers, ties), numbers, peaks)


def _check_frame(frame: "pd.DataFrame") -> None:
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise InputError(f"table is a {type(frame).__name__}; expected a pandas DataFrame with {', '.join(REQUIRED)}")
    doubled = frame.columns[frame.columns.duplicated()].tolist()
    if doubled:
        raise InputError(f"table has column {doubled[0]!r} twice; give each column a name of its own")
    for name in REQUIRED:
        if name not in frame.columns:
            has = ", ".join(map(str, frame.columns)) or "none"
            raise InputError(f"table has no column {name!r}; it needs {', '.join(REQUIRED)} and costs, and has {has}")
    if frame.empty:
        raise InputError("table has no rows; it needs one for each layer and choice")
    for name in ("layer", "choice"):
        empty = (frame[name].isna() | (frame[name] == "")).to_numpy()
        if empty.any():
            raise InputError(f"table row {int(empty.argmax())}: {name} is empty; name it")
    again = frame.duplicated(["layer", "choice"]).to_numpy()
    if again.any():
        raise InputError(f"table {_row(frame, int(again.argmax()))}: there twice; keep one row for a layer and choice")


def _numeric(frame: "pd.DataFrame") -> list[str]:
    """The cost columns that hold numbers."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    others = [name for name in frame.columns if name not in REQUIRED]
    if not is_numeric_dtype(frame["degradation"]):
        raise InputError("table column 'degradation' holds text; it needs a number in each row")
    return [name for name in others if is_numeric_dtype(frame[name]) and not is_bool_dtype(frame[name])]


def _no_cost(frame: "pd.DataFrame", name: str, numeric: list[str]) -> str:
    if name in frame.columns and name not in REQUIRED:
        return f"table column {name!r} holds text; a cost needs a number in each row"
    if not numeric:
        return f"unknown cost {name!r}; the table has no cost columns"
    return unknown("cost", str(name), map(str, numeric))


def _check_numbers(frame: "pd.DataFrame", name: str, numbers: Floats) -> None:
    """Raise InputError naming the first row whose number does not do."""
    bad = ~(np.abs(numbers) <= LARGEST)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(f"table {_row(frame, row)}: {name} is {numbers[row]}; it must be a finite number")
    if name != "degradation" and (numbers < 0).any():
        row = int((numbers < 0).argmax())
        raise InputError(f"table {_row(frame, row)}: {name} is {numbers[row]}; a cost must be at least 0")


def _row(frame: "pd.DataFrame", row: int) -> str:
    layer, choice = frame["layer"].tolist()[row], frame["choice"].tolist()[row]
    return f"row {row} (layer {layer!r}, choice {choice!r})"


def _names(what: str, names: Iterable[Any]) -> list[Any]:
    if isinstance(names, str):
        raise InputError(f"{what} is the text {names!r}; expected a list of names, [{names!r}]")
    return list(names)


def _groups(layers: Sequence[Any], ties: Iterable[Sequence[Any]]) -> list[list[int]]:
    """The layers that must choose alike, in order of each group's first layer; ties that share a layer are one."""
    place = {layer: i for i, layer in enumerate(layers)}
    leader = list(range(len(layers)))

    def find(layer: int) -> int:
        while leader[layer] != layer:
            layer = leader[layer]
        return layer

    for tie in _names("ties", ties):
        tied = _names("a tie", tie)
        for layer in tied:
            if layer not in place:
                raise InputError(unknown("layer in a tie", str(layer), map(str, layers)))
        for layer in tied[1:]:
            one, other = sorted((find(place[tied[0]]), find(place[layer])))
            leader[other] = one
    groups: dict[int, list[int]] = {}
    for layer in range(len(layers)):
        groups.setdefault(find(layer), []).append(layer)
    return list(groups.values())


def _gathered(
    frame: "pd.DataFrame",
    layers: Sequence[Any],
    groups: list[list[int]],
    numbers: Mapping[str, Floats],
    peaks: frozenset[str],
) -> Table:
    rows: list[dict[Any, int]] = [{} for _ in layers]
    place = {layer: i for i, layer in enumerate(layers)}
    for row, (layer, choice) in enumerate(zip(frame["layer"].tolist(), frame["choice"].tolist(), strict=True)):
        rows[place[layer]][choice] = row
    choices: list[Any] = []
    starts = [0]
    gathered: dict[str, list[Floats]] = {name: [] for name in numbers}
    for group in groups:
        common = [choice for choice in rows[group[0]] if all(choice in rows[layer] for layer in group)]
        if not common:
            raise InputError(f"tied layers {', '.join(repr(layers[i]) for i in group)} have no choice in common")
        choices += common
        starts.append(len(choices))
        taken = np.array([[rows[layer][choice] for choice in common] for layer in group])
        for name, column in numbers.items():
            gathered[name].append(column[taken].max(axis=0) if name in peaks else column[taken].sum(axis=0))
    joined = {name: np.concatenate(parts) for name, parts in gathered.items()}
    return Table(layers, groups, np.array(starts), choices, joined, peaks)
