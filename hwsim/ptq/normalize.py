"""Statistics put right without changing an integer weight: para-normalization and bias correction.

Sources: Hubara et al., Accurate Post Training Quantization With Small Calibration Sets (ICML 2021), section 3.3
(para-normalization); Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (ICCV 2019),
section 4.2 (bias correction).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hwsim.ptq.layers import Layer, real_weights
from hwsim.ptq.lower import Coding, Weights
from hwsim.ptq.moments import Moments
from hwsim.ptq.walk import Change

Reals = NDArray[np.float64]
LARGEST_GAIN = 2.0
DOUBT = 4
"""With n samples a gain is taken to the power n / (n + DOUBT): one sample says little of a spread."""


def para_normalization(index: int, layer: Layer, moments: Moments, coding: Coding) -> Change:
    """Batch norm rebuilt behind the layer: its outputs get the float network's mean and spread again.

    What the norm multiplies by goes into the weights' scales, what it adds into the biases. A channel whose spread is 0
    on either side keeps its scale.
    """
    weights = coding.weights[index]
    real = real_weights(layer, weights)
    spread = moments.variance(real)
    possible = (spread > 0) & (moments.yy > 0)
    gain = np.sqrt(np.where(possible, moments.yy, 1.0) / np.where(possible, spread, 1.0))
    gain = np.clip(gain, 1 / LARGEST_GAIN, LARGEST_GAIN) ** (moments.samples / (moments.samples + DOUBT))
    gain = gain.astype(np.float32)
    scale = weights.format.scale * (gain.reshape(-1) if weights.format.scale.size > 1 else gain.mean())
    taken = scale / weights.format.scale
    fresh = Weights(weights.codes, replace(weights.format, scale=scale.astype(np.float32)))
    shape = layer.groups, layer.outputs, 1
    return fresh, moments.best_bias(real * np.broadcast_to(taken, layer.channels).reshape(shape)).reshape(-1)


def bias_correction(index: int, layer: Layer, moments: Moments, coding: Coding) -> Change:
    """The bias that makes every output's mean the float network's on the calibration samples."""
    weights = coding.weights[index]
    return weights, moments.best_bias(real_weights(layer, weights)).reshape(-1)
