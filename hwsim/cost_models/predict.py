"""What a fit's constants predict for each measurement, with the slope by each constant.

Targets are checked once; a point then only replaces numbers in their profiles. Measurements of one machine, network and
runtime are one case, costed once, with numbers that carry their slopes (`hwsim.cost_models.dual`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from hwsim.cost_models.dual import Dual, Scalar, plain, slopes_of
from hwsim.cost_models.estimate import LayerEstimate, costed
from hwsim.cost_models.measurements import Measurement
from hwsim.cost_models.work import Network
from hwsim.errors import InputError, unknown
from hwsim.targets import Profile, Target

Vector = NDArray[np.float64]
Mask = NDArray[np.bool_]
RUNTIMES = "runtimes."
BOARDS = "boards."


@dataclass(frozen=True, slots=True)
class Constant:
    """A number to fit, in every target of `owners` at the same path."""

    path: str
    owners: tuple[str, ...]
    value: float
    low: float
    high: float

    @property
    def is_scale(self) -> bool:
        """Whether it is searched for by its logarithm."""
        return self.low > 0

    def inside(self, value: float) -> float:
        """A value as it is searched for."""
        return float(np.log(value)) if self.is_scale else value

    def outside(self, x: float) -> float:
        """The value at a place of the search, within the limits."""
        return min(max(float(np.exp(x)) if self.is_scale else float(x), self.low), self.high)

    @property
    def middle(self) -> float:
        """The place in the middle of the limits, which says nothing of what was measured."""
        return (self.inside(self.low) + self.inside(self.high)) / 2


@dataclass(frozen=True, slots=True)
class Case:
    """Measurements of one network on one machine with one runtime.

    Parameters
    ----------
    profile, network, runtime : what is costed
    active : index of each constant that it depends on, and its path in `profile`
    rows : which measurements
    """

    profile: Profile
    network: Network
    runtime: str
    active: tuple[tuple[int, str], ...]
    rows: list[int]


class Cases:
    """Measurements as cases, and what constants predict for them.

    Parameters
    ----------
    targets : by name
    names : of the target, NAME@BOARD, of each measurement
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        names: Sequence[str],
        measurements: Sequence[Measurement],
        networks: Mapping[str, Network],
        constants: Sequence[Constant],
    ) -> None:
        self.measurements = measurements
        self.constants = constants
        machines: dict[tuple[object, ...], tuple[Profile, list[tuple[int, str]]]] = {}
        cases: dict[tuple[object, ...], Case] = {}
        for i, (name, row) in enumerate(zip(names, measurements, strict=True)):
            key = name, row.settings
            if key not in machines:
                machines[key] = _machine(targets, *key, constants)
            profile, places = machines[key]
            runtime = row.runtime or profile.default_runtime
            case = (*key, row.network, runtime)
            if case not in cases:
                runtimes: Mapping[str, object] = getattr(profile, "runtimes", {})
                if runtime and runtime not in runtimes:
                    raise InputError(f"{row.device}: {unknown(f'runtime of {name}', runtime, runtimes)}")
                active = tuple((c, path) for c, path in places if _used(path, runtime))
                cases[case] = Case(profile, networks[row.network], runtime, active, [])
            cases[case].rows.append(i)
        self.cases = list(cases.values())
        self.touched: Mask = np.zeros((len(constants), len(measurements)), bool)
        for one in self.cases:
            for index, _ in one.active:
                self.touched[index, one.rows] = True

    def predict(self, point: Vector, only: Mask | None = None, slopes: bool = False) -> tuple[Vector, Vector]:
        """Predicted seconds and joules, and their slopes by the place of each constant.

        Returns
        -------
        (rows, 2), NaN for rows not in `only` and for unknown joules; and (rows, 2, constants), zero without `slopes`
        """
        found = np.full((len(self.measurements), 2), np.nan)
        by = np.zeros((len(self.measurements), 2, len(self.constants) if slopes else 0))
        for case in self.cases:
            rows = [i for i in case.rows if only is None or only[i]]
            if not rows:
                continue
            layers = costed(case.network, self._profile(case, point, slopes), case.runtime)
            indices = [index for index, _ in case.active]
            for i in rows:
                for what, number in enumerate(_figures(layers, self.measurements[i], case.profile.clock_hz)):
                    found[i, what] = plain(number)
                    if slopes:
                        by[i, what, indices] = slopes_of(number, len(indices))
        return found, by

    def _profile(self, case: Case, point: Vector, slopes: bool) -> Profile:
        values: dict[str, Scalar] = {}
        for place, (index, path) in enumerate(case.active):
            constant = self.constants[index]
            value = constant.outside(float(point[index]))
            if slopes:
                one = np.zeros(len(case.active))
                one[place] = value if constant.is_scale else 1.0
                values[path] = Dual(value, one)
            else:
                values[path] = value
        profile: Profile = _replaced(case.profile, values)
        return profile


def _machine(
    targets: Mapping[str, Target],
    name: str,
    settings: tuple[tuple[str, float], ...],
    constants: Sequence[Constant],
) -> tuple[Profile, list[tuple[int, str]]]:
    """A machine's profile, and the constants that it depends on with their paths in it."""
    base, _, board = name.partition("@")
    target = targets[base].on_board(board) if board else targets[base]
    set_by_board = set(target.profile.boards[board]) if board else set()
    fixed = {path for path, _ in settings}
    places = []
    for index, constant in enumerate(constants):
        path, own = constant.path, f"{BOARDS}{board}."
        if base not in constant.owners or (path.startswith(BOARDS) and not path.startswith(own)):
            continue
        inner = path.removeprefix(own) if path.startswith(BOARDS) else path
        if inner not in fixed and (path.startswith(BOARDS) or path not in set_by_board):
            places.append((index, inner))
    return (target.with_values(dict(settings)) if settings else target).profile, places


def _used(path: str, runtime: str) -> bool:
    return not path.startswith(RUNTIMES) or path.startswith(f"{RUNTIMES}{runtime}.")


def _replaced(section: Any, values: Mapping[str, Scalar]) -> Any:
    """A section with other numbers at dotted paths; nothing is checked again."""
    keys = type(section).model_fields if isinstance(section, BaseModel) else section
    updates: dict[str, Any] = {}
    for key in keys:
        inner = {path.removeprefix(f"{key}."): value for path, value in values.items() if path.startswith(f"{key}.")}
        if key in values:
            updates[key] = values[key]
        elif inner:
            updates[key] = _replaced(getattr(section, key) if keys is not section else section[key], inner)
    return section.model_copy(update=updates) if isinstance(section, BaseModel) else {**section, **updates}


def _figures(layers: Sequence[LayerEstimate], row: Measurement, clock_hz: float) -> tuple[Scalar, Scalar]:
    """Seconds and joules of what was timed: all layers or one, all cycles or the part that was counted."""
    some = list(layers) if not row.layer else [_layer(layers, row)]
    if row.part:
        return sum(getattr(layer.cost, f"{row.part}_cycles") for layer in some) / clock_hz, np.nan
    joules = sum(np.nan if layer.energy_j is None else layer.energy_j for layer in some)
    return sum(layer.latency_s for layer in some), joules


def _layer(layers: Sequence[LayerEstimate], row: Measurement) -> LayerEstimate:
    names = [layer.work.name for layer in layers]
    if row.layer in names:
        return layers[names.index(row.layer)]
    if row.layer.isdigit() and int(row.layer) < len(layers):
        return layers[int(row.layer)]
    raise InputError(f"{row.device}, {row.network}: {unknown('layer', row.layer, names)}")
