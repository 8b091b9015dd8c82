"""Fit a target's free constants to measurements, and say how well it predicts what it was not fitted to.

Robust least squares (scipy, soft L1) on the logarithm of estimated over measured, so that a fast and a slow network
count alike, within each constant's physical limits. Several targets are fitted together; a constant of a runtime
that stands at the same place in each of them is one constant. The error that counts is of rows held out: all rows
of one device (or network) are predicted by a fit to the others.
"""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hwsim.cost_models.estimate import LayerEstimate, estimate
from hwsim.cost_models.measurements import Measurement, shipped_network
from hwsim.cost_models.work import Network
from hwsim.errors import InputError, unknown
from hwsim.targets import Target

if TYPE_CHECKING:
    import pandas

Vector = NDArray[np.float64]
TIED = "runtimes."
BOARDS = "boards."
SCAN_PLACES = 9
PULL = 0.03
"""A runtime's constant is pulled to the (geometric) middle of its limits as hard as 3 % of error of one row would pull
for a factor of e: rows decide where they say something, the middle where they do not."""
SCALE = 0.1
"""Residuals beyond a tenth count less than by their square."""


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


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted targets and their errors.

    Parameters
    ----------
    targets : with the fitted constants, by name
    constants : path, owners, value before and after
    rows : one per measurement: group held out, device, network, runtime, measured, estimated by the fit to all rows,
        and estimated by the fit that did not see its group (NaN where that is not possible)
    """

    targets: Mapping[str, Target]
    constants: "pandas.DataFrame"
    rows: "pandas.DataFrame"


def fit(
    targets: Sequence[Target],
    measurements: Sequence[Measurement],
    *,
    hold_out: str = "device",
    load: Callable[[str], Network] = shipped_network,
    progress: Callable[[int], None] | None = None,
) -> Fit:
    """Fit the free constants of `targets` to `measurements`.

    Parameters
    ----------
    hold_out : 'device', 'network' or 'none': which rows are held out together to judge the fit
    load : gives the network that a measurement names
    progress : hears how many fits are done

    Raises
    ------
    InputError : for a measurement on another target, or where there is nothing to fit
    """
    if hold_out not in ("device", "network", "none"):
        raise InputError(unknown("hold_out", hold_out, ("device", "network", "none")))
    problem = Problem(targets, measurements, load)
    everything = np.ones(len(measurements), bool)
    fitted = problem.solve(everything, problem.scan(everything))
    if progress:
        progress(1)
    groups = [getattr(m, hold_out) if hold_out != "none" else "" for m in measurements]
    held_out = np.full((len(measurements), 2), np.nan)
    for group in sorted(set(groups)) if hold_out != "none" else []:
        aside = np.array([g == group for g in groups])
        if not aside.all():
            point = problem.forget(problem.solve(~aside, fitted), aside)
            held_out[aside] = np.where(problem.unknown(aside), np.nan, problem.predict(point))[aside]
        if progress:
            progress(1)
    return problem.result(fitted, held_out, groups)


def count_fits(measurements: Sequence[Measurement], hold_out: str) -> int:
    """How many fits `fit` will make, for a progress bar."""
    return 1 + (len({getattr(m, hold_out) for m in measurements}) if hold_out != "none" else 0)


@dataclass(slots=True)
class Problem:
    """Targets, measurements and the constants to find; a point holds the constants as they are searched for."""

    targets: Sequence[Target]
    measurements: Sequence[Measurement]
    load: Callable[[str], Network]
    names: list[str] = field(init=False)
    constants: list[Constant] = field(init=False)
    networks: dict[str, Network] = field(init=False)

    def __post_init__(self) -> None:
        by_name = {target.name: target for target in self.targets}
        self.names = []
        for row in self.measurements:
            name = row.target or self.targets[0].name
            if name.partition("@")[0] not in by_name:
                raise InputError(f"{row.device}: {unknown('target', name, by_name)}")
            self.names.append(name)
        self.networks = {name: self.load(name) for name in {row.network for row in self.measurements}}
        found = _constants(self.targets)
        touched = {c.path for c in found if any(self._touches(c, row) for row in range(len(self.names)))}
        self.constants = [c for c in found if c.path in touched]
        if not self.constants:
            raise InputError("no number is free; give one limits: { value = 2, source = '...', free = [0.5, 8] }")

    @property
    def start(self) -> Vector:
        """The point of the targets' own values."""
        return np.array([_inside(c, c.value) for c in self.constants])

    def scan(self, rows: NDArray[np.bool_]) -> Vector:
        """A start for `solve`: each constant in turn at the best of a few places in its range.

        A constant that bounds nothing where it stands, a fast memory's bandwidth, has no slope to follow. A runtime's
        pulled constants have; scanned one at a time they would make up for each other.
        """
        point = self.start
        for i, constant in enumerate(self.constants):
            if constant.path.startswith(TIED) and constant.is_scale:
                continue
            places = np.linspace(_inside(constant, constant.low), _inside(constant, constant.high), SCAN_PLACES)
            tried = [point, *(np.concatenate([point[:i], [place], point[i + 1 :]]) for place in places)]
            some = rows & np.array([self._touches(constant, row) for row in range(len(self.names))])
            off = [float(np.sum(np.abs(self._residuals(candidate, some)))) for candidate in tried]
            point = tried[int(np.argmin(off))]
        return point

    def solve(self, rows: NDArray[np.bool_], start: Vector) -> Vector:
        """The point that fits `rows` best."""
        from scipy.optimize import least_squares

        low, high = (np.array([_inside(c, limit) for c in self.constants]) for limit in ("low", "high"))
        margin = 1e-9 * (high - low)
        found = least_squares(
            lambda point: self._residuals(point, rows),
            np.clip(start, low + margin, high - margin),
            jac=lambda point: self._jacobian(point, rows),
            bounds=(low, high),
            loss="soft_l1",
            f_scale=SCALE,
            x_scale="jac",
            xtol=1e-5,
            ftol=1e-5,
            max_nfev=60,
        )
        return np.asarray(found.x)

    def predict(self, point: Vector, only: NDArray[np.bool_] | None = None) -> Vector:
        """(seconds, joules) estimated for each measurement; NaN for rows not in `only`, and for unknown joules."""
        machines: dict[tuple[str, tuple[tuple[str, float], ...]], Target] = {}
        done: dict[tuple[object, ...], tuple[list[tuple[float, float]], list[str]]] = {}
        used = {name.partition("@")[0] for i, name in enumerate(self.names) if only is None or only[i]}
        plain = self._targets(point, used)
        found = np.full((len(self.measurements), 2), np.nan)
        for i, row in enumerate(self.measurements):
            if only is not None and not only[i]:
                continue
            key = self.names[i], row.settings
            if key not in machines:
                machines[key] = _machine(plain, *key)
            case = (*key, row.network, row.runtime, row.part)
            if case not in done:
                e = estimate(self.networks[row.network], machines[key], row.runtime or None)
                costs = [_figures(layer, row.part, e.profile.clock_hz) for layer in e.layers]
                done[case] = costs, [layer.work.name for layer in e.layers]
            found[i] = _one(*done[case], row)
        return found

    def forget(self, point: Vector, aside: NDArray[np.bool_]) -> Vector:
        """The point with a board's own constants at the target's, where only rows aside say anything of the board."""
        forgotten = point.copy()
        for i, constant in enumerate(self.constants):
            if constant.path.startswith(BOARDS) and not self._informs(constant, ~aside):
                own = constant.path.split(".", 2)[2]
                forgotten[i] = _inside(constant, _called(self.targets, constant.owners[0]).provenance[own].value)
        return forgotten

    def unknown(self, aside: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which (latency, energy) rest on a constant that no row outside `aside` says anything of."""
        found = np.zeros((len(self.measurements), 2), bool)
        for constant in self.constants:
            if self._informs(constant, ~aside) or (
                constant.path.startswith(BOARDS) and ".energy." not in constant.path
            ):
                continue
            touched = np.array([self._touches(constant, row) for row in range(len(self.names))])
            found[touched, 1] = True
            found[touched, 0] |= ".energy." not in f".{constant.path}"
        return found

    def _informs(self, constant: Constant, rows: NDArray[np.bool_]) -> bool:
        """Whether some of `rows` depend on a constant."""
        needs_energy = ".energy." in f".{constant.path}"
        return any(
            rows[i] and (row.energy_j is not None or not needs_energy) and self._touches(constant, i)
            for i, row in enumerate(self.measurements)
        )

    def result(self, point: Vector, held_out: Vector, groups: Sequence[str]) -> Fit:
        """The fit at `point`, with its errors."""
        import pandas as pd

        estimated = self.predict(point)
        rows = pd.DataFrame(
            {
                "group": groups,
                "target": self.names,
                "device": [row.device for row in self.measurements],
                "runtime": [row.runtime for row in self.measurements],
                "network": [row.network for row in self.measurements],
                "layer": [row.layer for row in self.measurements],
                "part": [row.part for row in self.measurements],
                "measured_s": [row.latency_s for row in self.measurements],
                "fitted_s": estimated[:, 0],
                "held_out_s": held_out[:, 0],
                "measured_j": [np.nan if row.energy_j is None else row.energy_j for row in self.measurements],
                "fitted_j": estimated[:, 1],
                "held_out_j": held_out[:, 1],
            }
        )
        constants = pd.DataFrame(
            {
                "path": [c.path for c in self.constants],
                "targets": [", ".join(c.owners) for c in self.constants],
                "before": [c.value for c in self.constants],
                "after": [_outside(c, x) for c, x in zip(self.constants, point, strict=True)],
                "low": [c.low for c in self.constants],
                "high": [c.high for c in self.constants],
            }
        )
        return Fit(self._targets(point), constants, rows)

    def _residuals(self, point: Vector, rows: NDArray[np.bool_]) -> Vector:
        return np.concatenate([self._logs(self.predict(point, rows))[np.repeat(rows, 2)], self._pulled(point)])

    def _pulled(self, point: Vector) -> Vector:
        return np.array(
            [
                PULL * (x - (_inside(c, "low") + _inside(c, "high")) / 2)
                for c, x in zip(self.constants, point, strict=True)
                if c.path.startswith(TIED) and c.is_scale
            ]
        )

    def _logs(self, predicted: Vector) -> Vector:
        """log(estimated / measured), latency and energy of each row in turn; 0 where there is nothing to compare."""
        measured = np.array([[m.latency_s, m.energy_j or np.nan] for m in self.measurements])
        with np.errstate(divide="ignore"):
            logs = np.log(np.maximum(predicted, 1e-30) / measured)
        return np.asarray(np.nan_to_num(logs, nan=0.0).ravel(), float)

    def _jacobian(self, point: Vector, rows: NDArray[np.bool_]) -> Vector:
        """One-sided differences; a constant is tried only on the rows that it can touch."""
        base, pulled = self._logs(self.predict(point, rows)), self._pulled(point)
        columns = []
        for i, constant in enumerate(self.constants):
            step = 1e-4 * max(abs(point[i]), 1.0)
            moved = point.copy()
            moved[i] += step if constant.high > _outside(constant, point[i] + step) else -step
            touched = rows & np.array([self._touches(constant, row) for row in range(len(self.names))])
            there = self._logs(self.predict(moved, touched))
            slope = np.where(np.repeat(touched, 2), (there - base) / (moved[i] - point[i]), 0.0)
            columns.append(
                np.concatenate([slope[np.repeat(rows, 2)], (self._pulled(moved) - pulled) / (moved[i] - point[i])])
            )
        return np.stack(columns, axis=1)

    def _touches(self, constant: Constant, row: int) -> bool:
        """Whether the estimate of a row depends on a constant."""
        name = self.names[row].partition("@")[0]
        if name not in constant.owners:
            return False
        if constant.path.startswith(BOARDS):
            return constant.path.startswith(f"boards.{self.names[row].partition('@')[2]}.")
        if not constant.path.startswith(TIED):
            return True
        used = self.measurements[row].runtime or _called(self.targets, name).profile.default_runtime
        return constant.path.startswith(f"{TIED}{used}.")

    def _targets(self, point: Vector, names: Set[str] | None = None) -> dict[str, Target]:
        values: dict[str, dict[str, float]] = {target.name: {} for target in self.targets}
        for constant, x in zip(self.constants, point, strict=True):
            for owner in constant.owners:
                values[owner][constant.path] = _outside(constant, x)
        some = (target for target in self.targets if names is None or target.name in names)
        return {target.name: target.with_values(values[target.name], "fitted") for target in some}


def _constants(targets: Sequence[Target]) -> list[Constant]:
    """Every free number; a runtime's, where several targets have it, is one."""
    found: dict[tuple[str, str], Constant] = {}
    for target in targets:
        for path, number in target.provenance.items():
            if number.free is None:
                continue
            key = path, "" if path.startswith(TIED) else target.name
            earlier = found.get(key)
            owners = (*earlier.owners, target.name) if earlier else (target.name,)
            found[key] = Constant(path, owners, earlier.value if earlier else number.value, *number.free)
    return list(found.values())


def _called(targets: Sequence[Target], name: str) -> Target:
    return next(target for target in targets if target.name == name)


def _machine(plain: Mapping[str, Target], name: str, settings: tuple[tuple[str, float], ...]) -> Target:
    base, _, board = name.partition("@")
    machine = plain[base].on_board(board) if board else plain[base]
    return machine.with_values(dict(settings)) if settings else machine


def _figures(layer: LayerEstimate, part: str, clock_hz: float) -> tuple[float, float]:
    """Seconds and joules of a layer, or of the part of its cycles that was counted."""
    if part:
        return float(getattr(layer.cost, f"{part}_cycles")) / clock_hz, np.nan
    return layer.latency_s, np.nan if layer.energy_j is None else layer.energy_j


def _one(costs: list[tuple[float, float]], names: list[str], row: Measurement) -> tuple[float, float]:
    """Seconds and joules of the layer that was timed, or of all."""
    if not row.layer:
        return sum(c[0] for c in costs), sum(c[1] for c in costs)
    if row.layer in names:
        return costs[names.index(row.layer)]
    if row.layer.isdigit() and int(row.layer) < len(costs):
        return costs[int(row.layer)]
    raise InputError(f"{row.device}, {row.network}: {unknown('layer', row.layer, names)}")


def _inside(constant: Constant, value: float | str) -> float:
    """A value, or the limit 'low' or 'high', as it is searched for."""
    number = float(getattr(constant, value)) if isinstance(value, str) else value
    return float(np.log(number)) if constant.is_scale else number


def _outside(constant: Constant, x: float) -> float:
    value = float(np.exp(x)) if constant.is_scale else float(x)
    return min(max(value, constant.low), constant.high)
