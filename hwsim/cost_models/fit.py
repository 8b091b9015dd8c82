"""Fit a target's free constants to measurements, and say how well it predicts what it was not fitted to.

Robust least squares (scipy, soft L1) on the logarithm of estimated over measured, so that a fast and a slow network
count alike, within each constant's physical limits. Several targets are fitted together; a constant of a runtime
that stands at the same place in each of them is one constant. The error that counts is of rows held out: all rows
of one device (or network) are predicted by a fit to the others. Every fit starts from the middle of the limits, not
from a file's values, which an earlier fit may have learned from the very rows that are held out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from hwsim.cost_models.measurements import Measurement, shipped_network
from hwsim.cost_models.predict import BOARDS, RUNTIMES, Cases, Constant, Mask, Vector
from hwsim.cost_models.work import Network
from hwsim.errors import InputError, unknown
from hwsim.targets import Target

if TYPE_CHECKING:
    import pandas

SCAN_PLACES = 9
PULL = 0.03
"""A runtime's constant is pulled to the (geometric) middle of its limits as hard as 3 % of error of one row would pull
for a factor of e: rows decide where they say something, the middle where they do not."""
SCALE = 0.1
"""Residuals beyond a tenth count less than by their square."""
STEPS = 300
"""A fit that takes more is stopped."""


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
    fitted = problem.solve(np.ones(len(measurements), bool))
    if progress:
        progress(1)
    groups = [getattr(m, hold_out) if hold_out != "none" else "" for m in measurements]
    held_out = np.full((len(measurements), 2), np.nan)
    for group in sorted(set(groups)) if hold_out != "none" else []:
        aside = np.array([g == group for g in groups])
        if not aside.all():
            point = problem.forget(problem.solve(~aside), aside)
            held_out[aside] = np.where(problem.unknown(aside), np.nan, problem.cases.predict(point, aside)[0])[aside]
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
    cases: Cases = field(init=False)

    def __post_init__(self) -> None:
        by_name = {target.name: target for target in self.targets}
        self.names = []
        for row in self.measurements:
            name = row.target or self.targets[0].name
            if name.partition("@")[0] not in by_name:
                raise InputError(f"{row.device}: {unknown('target', name, by_name)}")
            self.names.append(name)
        networks = {name: self.load(name) for name in {row.network for row in self.measurements}}
        found = _constants(self.targets)
        touched = np.asarray(Cases(by_name, self.names, self.measurements, networks, found).touched.any(axis=1))
        self.constants = [constant for constant, used in zip(found, touched.tolist(), strict=True) if used]
        if not self.constants:
            raise InputError("no number is free; give one limits: { value = 2, source = '...', free = [0.5, 8] }")
        self.cases = Cases(by_name, self.names, self.measurements, networks, self.constants)

    @property
    def neutral(self) -> Vector:
        """The point in the middle of all limits."""
        return np.array([constant.middle for constant in self.constants])

    def _scan(self, rows: Mask) -> Vector:
        """A start: each constant in turn at the best of a few places in its range.

        A constant that bounds nothing where it stands, a fast memory's bandwidth, has no slope to follow. A runtime's
        pulled constants have; scanned one at a time they would make up for each other.
        """
        point = self.neutral
        for i, constant in enumerate(self.constants):
            some = rows & self.cases.touched[i]
            if (constant.path.startswith(RUNTIMES) and constant.is_scale) or not some.any():
                continue
            places = np.linspace(constant.inside(constant.low), constant.inside(constant.high), SCAN_PLACES)
            tried = [point, *(np.concatenate([point[:i], [place], point[i + 1 :]]) for place in places)]
            off = [float(np.sum(np.abs(self._logs(candidate, some)[0]))) for candidate in tried]
            point = tried[int(np.argmin(off))]
        return point

    def solve(self, rows: Mask) -> Vector:
        """The point that fits `rows` best, searched for from the neutral point after a scan."""
        from scipy.optimize import least_squares

        low = np.array([constant.inside(constant.low) for constant in self.constants])
        high = np.array([constant.inside(constant.high) for constant in self.constants])
        margin = 1e-9 * (high - low)
        last: dict[bytes, tuple[Vector, Vector]] = {}

        def both(point: Vector) -> tuple[Vector, Vector]:
            key = point.tobytes()
            if key not in last:
                last.clear()
                last[key] = self._residuals(point, rows)
            return last[key]

        found = least_squares(
            lambda point: both(point)[0],
            np.clip(self._scan(rows), low + margin, high - margin),
            jac=lambda point: both(point)[1],
            bounds=(low, high),
            loss="soft_l1",
            f_scale=SCALE,
            x_scale="jac",
            xtol=1e-5,
            ftol=1e-5,
            max_nfev=STEPS,
        )
        return np.asarray(found.x)

    def forget(self, point: Vector, aside: Mask) -> Vector:
        """The point with a board's own constants at the target's, where only rows aside say anything of the board."""
        forgotten = point.copy()
        paths = {(constant.path, owner): i for i, constant in enumerate(self.constants) for owner in constant.owners}
        for i, constant in enumerate(self.constants):
            if constant.path.startswith(BOARDS) and not self._informs(i, ~aside):
                own, owner = constant.path.split(".", 2)[2], constant.owners[0]
                if (own, owner) in paths:
                    plain = self.constants[paths[own, owner]]
                    value = plain.outside(point[paths[own, owner]])
                else:
                    value = next(t for t in self.targets if t.name == owner).provenance[own].value
                forgotten[i] = constant.inside(value)
        return forgotten

    def unknown(self, aside: Mask) -> Mask:
        """Which (latency, energy) rest on a constant that no row outside `aside` says anything of."""
        found = np.zeros((len(self.measurements), 2), bool)
        for i, constant in enumerate(self.constants):
            of_energy = ".energy." in f".{constant.path}"
            if self._informs(i, ~aside) or (constant.path.startswith(BOARDS) and not of_energy):
                continue
            found[self.cases.touched[i], 1] = True
            found[self.cases.touched[i], 0] |= not of_energy
        return found

    def _informs(self, index: int, rows: Mask) -> bool:
        """Whether some of `rows` depend on a constant."""
        energies = np.array([row.energy_j is not None for row in self.measurements])
        of_energy = ".energy." in f".{self.constants[index].path}"
        return bool((rows & self.cases.touched[index] & (energies | (not of_energy))).any())

    def result(self, point: Vector, held_out: Vector, groups: Sequence[str]) -> Fit:
        """The fit at `point`, with its errors."""
        import pandas as pd

        estimated = self.cases.predict(point)[0]
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
                "after": [c.outside(x) for c, x in zip(self.constants, point, strict=True)],
                "low": [c.low for c in self.constants],
                "high": [c.high for c in self.constants],
            }
        )
        return Fit(self._targets(point), constants, rows)

    def _residuals(self, point: Vector, rows: Mask) -> tuple[Vector, Vector]:
        """Logarithms of estimated over measured, and pulls, with their slopes."""
        logs, slopes = self._logs(point, rows, slopes=True)
        pulled = [i for i, c in enumerate(self.constants) if c.path.startswith(RUNTIMES) and c.is_scale]
        off = PULL * (point - self.neutral)[pulled]
        return np.concatenate([logs, off]), np.concatenate([slopes, PULL * np.eye(len(point))[pulled]])

    def _logs(self, point: Vector, rows: Mask, slopes: bool = False) -> tuple[Vector, Vector]:
        """log(estimated / measured) of latency and energy of `rows`; 0 where there is nothing to compare."""
        predicted, by = self.cases.predict(point, rows, slopes)
        measured = np.array([[m.latency_s, m.energy_j or np.nan] for m in self.measurements])
        safe = np.maximum(predicted, 1e-30)
        logs = np.log(safe / measured)
        known = np.isfinite(logs)
        slope = np.where(known[..., None] & (predicted > 1e-30)[..., None], by / safe[..., None], 0.0)
        return np.where(known, logs, 0.0)[rows].ravel(), slope[rows].reshape(2 * int(rows.sum()), by.shape[2])

    def _targets(self, point: Vector) -> dict[str, Target]:
        values: dict[str, dict[str, float]] = {target.name: {} for target in self.targets}
        for constant, x in zip(self.constants, point, strict=True):
            for owner in constant.owners:
                values[owner][constant.path] = constant.outside(x)
        return {target.name: target.with_values(values[target.name], "fitted") for target in self.targets}


def _constants(targets: Sequence[Target]) -> list[Constant]:
    """Every free number; a runtime's, where several targets have it, is one."""
    found: dict[tuple[str, str], Constant] = {}
    for target in targets:
        for path, number in target.provenance.items():
            if number.free is None:
                continue
            key = path, "" if path.startswith(RUNTIMES) else target.name
            earlier = found.get(key)
            owners = (*earlier.owners, target.name) if earlier else (target.name,)
            found[key] = Constant(path, owners, earlier.value if earlier else number.value, *number.free)
    return list(found.values())
