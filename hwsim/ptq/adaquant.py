"""AdaQuant and AdaRound: the codes, scales and biases of a layer that give the least error of its output.

Both minimize the same squared error; AdaQuant lets a weight move to any code, AdaRound to the two next to its real
value. Their authors descend on a relaxation. Here codes are moved one at a time to the best code given all others
(coordinate descent on the moments, which never raises the error), in turns with the best scale and bias, both in closed
form: no learning rate, no draw of batches. The format in which AdaQuant's layers read is fitted in `hwsim.ptq.reads`.

Sources: Hubara et al., Accurate Post Training Quantization With Small Calibration Sets (ICML 2021), section 3; Nagel et
al., Up or Down? Adaptive Rounding for Post-Training Quantization (ICML 2020).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import Affine
from hwsim.ptq.layers import Layer
from hwsim.ptq.lower import Coding, Weights
from hwsim.ptq.moments import Moments
from hwsim.ptq.walk import Change

Reals = NDArray[np.float64]
TURNS = 12
SWEEPS = 2
RIDGE = 0.01
RIDGE_OF_ONE = 2.0
"""Pull towards the trained weights, of the mean square of the inputs: what samples do not see stays as it was. With n
samples it is RIDGE + RIDGE_OF_ONE / n.
"""


@dataclass(frozen=True, slots=True)
class AdaQuant:
    """A visit of every layer that moves codes to where the output's error is least.

    Parameters
    ----------
    rounding_only : AdaRound: each code stays one of the two next to the real weight, and scales stay
    ridge, ridge_of_one : pull towards the trained weights, see `RIDGE`
    """

    rounding_only: bool = False
    ridge: float = RIDGE
    ridge_of_one: float = RIDGE_OF_ONE

    def __call__(self, index: int, layer: Layer, moments: Moments, coding: Coding) -> Change | None:
        """New codes, scales and bias of one layer; None where its weights are not uniform codes."""
        old = coding.weights[index]
        if not isinstance(old.format, Affine) or old.format.zero_point.any():
            return None
        real = layer.weights.astype(np.float64)
        held = anchored(moments, real, self.ridge + self.ridge_of_one / moments.samples)
        shape = layer.groups, layer.outputs
        scale = np.broadcast_to(old.format.scale.astype(np.float64), layer.channels).reshape(shape)
        codes = layer.matrix(old.codes).astype(np.float64)
        largest = (1 << ((old.format.bits or 8) - 1)) - 1
        if self.rounding_only:
            low = np.clip(np.floor(real / scale[..., None]), -largest, largest)
            high = np.clip(np.ceil(real / scale[..., None]), -largest, largest)
            codes = descend(held, np.clip(codes, low, high), scale, low, high, sweeps=SWEEPS * TURNS)
        else:
            codes, scale = settle(held, codes, scale, largest)
        fine = scale.astype(np.float32)
        bias = moments.best_bias(codes * fine[..., None].astype(np.float64)).reshape(-1)
        form = Affine(fine.reshape(-1), np.zeros(layer.channels, np.int64), layer.axis, old.format.bits)
        return Weights(layer.array(codes).astype(old.codes.dtype), form), bias


def anchored(moments: Moments, real: Reals, ridge: float) -> Moments:
    """The moments with `ridge` times the mean square of the inputs on how far weights are from `real`."""
    depth = real.shape[2]
    square = (np.trace(moments.xx, axis1=1, axis2=2) + (moments.mean_x**2).sum(1)) / depth
    pull = ridge * np.maximum(square, 1e-12)[:, None, None]
    return replace(
        moments,
        xx=moments.xx + pull * np.eye(depth),
        xy=moments.xy + pull * real.transpose(0, 2, 1),
        yy=moments.yy + pull[..., 0] * (real**2).sum(2),
    )


def settle(moments: Moments, codes: Reals, scale: Reals, largest: int) -> tuple[Reals, Reals]:
    """Codes for the scale and the best scale for these codes, in turns until neither moves."""
    for _ in range(TURNS):
        found = descend(moments, codes, scale, -largest, largest, sweeps=SWEEPS)
        better = best_scale(moments, found, scale)
        if np.array_equal(found, codes) and np.allclose(better, scale, rtol=1e-6, atol=0):
            break
        codes, scale = found, better
    return codes, scale


def descend(moments: Moments, codes: Reals, scale: Reals, low: Reals | int, high: Reals | int, *, sweeps: int) -> Reals:
    """Move each code to the best place given all others, `sweeps` times over; never raises the error.

    Parameters
    ----------
    codes : (groups, outputs, depth)
    scale : (groups, outputs), each > 0
    low, high : of the codes, numbers or arrays of their shape
    """
    codes, step = codes.copy(), scale[..., None]
    low, high = np.broadcast_to(low, codes.shape), np.broadcast_to(high, codes.shape)
    slope = (codes * step) @ moments.xx - moments.xy.transpose(0, 2, 1)
    power = np.diagonal(moments.xx, axis1=1, axis2=2)
    alive = power > 0
    for _ in range(sweeps):
        moved = False
        for place in np.flatnonzero(alive.any(axis=0)):
            curve = np.where(alive[:, place], power[:, place], 1.0)[:, None]
            wanted = codes[..., place] - slope[..., place] / (curve * scale)
            best = np.clip(np.rint(wanted), low[..., place], high[..., place])
            change = np.where(alive[:, place, None], best - codes[..., place], 0.0)
            if change.any():
                moved = True
                codes[..., place] += change
                slope += (change * scale)[..., None] * moments.xx[:, place, None, :]
        if not moved:
            break
    return codes


def best_scale(moments: Moments, codes: Reals, scale: Reals) -> Reals:
    """The scale of least error for these codes; where they give nothing, the old one."""
    power = moments.variance(codes)
    found = np.einsum("god,gdo->go", codes, moments.xy) / np.where(power > 0, power, 1.0)
    return np.where((power > 0) & (found > 0), found, scale)
