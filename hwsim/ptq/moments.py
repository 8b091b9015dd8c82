"""First and second moments of what a layer reads and should give: every squared-error method needs no more of the data.

With x the quantized network's input rows and y the float network's outputs before the activation function, the mean
squared error of weights w and bias b is yy - 2 w.xy + w.xx.w + (mean_y - w.mean_x - b)^2, all centered.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hwsim.ptq.layers import Layer

Reals = NDArray[np.float64]
ROWS = 1 << 15
"""Rows of a layer's input that its moments are taken from: neighbouring pixels say much the same."""
CHUNK = 64


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments of one layer, by group.

    Parameters
    ----------
    samples : calibration samples that they are from
    mean_x, mean_y : (groups, depth) and (groups, outputs)
    xx, xy, yy : covariances (groups, depth, depth), (groups, depth, outputs) and variances (groups, outputs)
    """

    samples: int
    mean_x: Reals
    mean_y: Reals
    xx: Reals
    xy: Reals
    yy: Reals

    @classmethod
    def of(cls, samples: int, parts: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> "Moments":
        """From chunks of x (groups, rows, depth) and y (groups, rows, outputs)."""
        sums: list[Reals] = []
        count = 0
        for x, y in parts:
            x64, y64 = x.sum(1, dtype=np.float64), y.sum(1, dtype=np.float64)
            turned = x.transpose(0, 2, 1)
            found = [x64, y64, turned @ x, turned @ y, (y * y).sum(1, dtype=np.float64)]
            sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else [f.astype(np.float64) for f in found]
            count += x.shape[1]
        x_sum, y_sum, xx, xy, yy = (s / count for s in sums)
        return cls(
            samples,
            x_sum,
            y_sum,
            xx - x_sum[:, :, None] * x_sum[:, None, :],
            xy - x_sum[:, :, None] * y_sum[:, None, :],
            np.maximum(yy - y_sum * y_sum, 0.0),
        )

    def best_bias(self, weights: Reals) -> Reals:
        """The bias (groups, outputs) that makes the mean output right for `weights` (groups, outputs, depth)."""
        bias: Reals = self.mean_y - np.einsum("god,gd->go", weights, self.mean_x)
        return bias

    def variance(self, weights: Reals) -> Reals:
        """The variance of each output under `weights`."""
        power: Reals = np.einsum("god,gdo->go", weights, self.xx @ weights.transpose(0, 2, 1))
        return np.maximum(power, 0.0)

    def error(self, weights: Reals, bias: Reals | None = None) -> Reals:
        """The mean squared error of each output, (groups, outputs), with the best bias where none is given."""
        centered = self.yy - 2 * np.einsum("god,gdo->go", weights, self.xy) + self.variance(weights)
        off = 0.0 if bias is None else (self.best_bias(weights) - bias) ** 2
        total: Reals = np.maximum(centered, 0.0) + off
        return total


def measure(
    layer: Layer,
    real: NDArray[np.float32],
    read: NDArray[np.float32],
    owed: NDArray[np.float32] | None,
    seed: int,
) -> Moments:
    """Moments of `layer` over calibration samples; parameters as of `pairs_of_rows`."""
    return Moments.of(len(real), pairs_of_rows(layer, real, read, owed, seed, ROWS))


def pairs_of_rows(
    layer: Layer,
    real: NDArray[np.float32],
    read: NDArray[np.float32],
    owed: NDArray[np.float32] | None,
    seed: int,
    limit: int,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Chunks of what a layer reads (groups, rows, depth), and of what it should give for it (groups, rows, outputs).

    Parameters
    ----------
    real, read : its input in the float network and in the quantized one, (samples, *declared shape)
    owed : what its output should make up for besides, (samples, *declared shape of the output)
    limit : rows in all, about; drawn evenly over the samples
    """
    samples, generator = len(real), np.random.default_rng(seed)
    weights, bias = layer.weights.transpose(0, 2, 1), layer.bias.reshape(layer.groups, 1, -1)
    for start in range(0, samples, CHUNK):
        part = slice(start, min(start + CHUNK, samples))
        count, share = layer.row_count(part.stop - start), max(1, limit * (part.stop - start) // samples)
        pick = np.sort(generator.choice(count, share, replace=False)) if count > share else None
        x = layer.rows(read[part], pick)
        y = layer.rows(real[part], pick) @ weights + bias
        if owed is not None:
            y += layer.grouped(owed[part])[:, slice(None) if pick is None else pick]
        yield x, y
