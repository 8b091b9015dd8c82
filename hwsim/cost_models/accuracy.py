"""How far estimates lie from measurements that they were not fitted to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Errors of held-out rows.

    Parameters
    ----------
    rows : how many
    median : of the absolute relative error, as a share
    within : shares of rows within 10, 25 and 50 %
    low, high : measured over estimated: the 5 % and 95 % quantiles
    """

    rows: int
    median: float
    within: tuple[float, float, float]
    low: float
    high: float


def accuracy(measured: NDArray[np.float64], estimated: NDArray[np.float64]) -> Accuracy | None:
    """Errors of `estimated` against `measured`, rows of NaN left out; None where none is left."""
    known = np.isfinite(measured) & np.isfinite(estimated)
    if not known.any():
        return None
    ratio = measured[known] / estimated[known]
    error = np.abs(1 / ratio - 1)
    low, high = np.quantile(ratio, (0.05, 0.95))
    ten, quarter, half = (float(np.mean(error <= limit)) for limit in (0.10, 0.25, 0.50))
    return Accuracy(int(known.sum()), float(np.median(error)), (ten, quarter, half), float(low), float(high))


def held_out(rows: "pandas.DataFrame", what: str = "latency") -> Accuracy | None:
    """Errors of a fit's held-out rows, `what` being 'latency' or 'energy'."""
    unit = {"latency": "s", "energy": "j"}[what]
    return accuracy(rows[f"measured_{unit}"].to_numpy(float), rows[f"held_out_{unit}"].to_numpy(float))
