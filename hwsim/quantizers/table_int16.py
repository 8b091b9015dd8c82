"""Functions of int16 codes as tables of 513 samples, between which the engines interpolate.

Source: LiteRT tflite/kernels/internal/common.h, LUTPopulateInt16; it works in float64, TFLM in float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEPS = 512
Reals = NDArray[np.floating[Any]]


def table_int16(
    function: Callable[[Reals], Reals], source: tuple[Any, int], target: tuple[Any, int]
) -> NDArray[np.int16]:
    """The samples of `function` at every 128th code, each moved by half the error of the interpolation after it.

    Parameters
    ----------
    function : of an array of reals, elementwise, in the width of its argument
    source, target : (scale, zero point) of the input's and the output's codes; the scales' width, np.float32 or
        np.float64, is that of the whole computation. The output's zero point only moves the range.

    Returns
    -------
    int16 array, shape (513,)
    """
    kind = type(source[0])
    first, last = (source[0] * kind(code - source[1]) for code in (-32768, 32767))
    low, high = (target[0] * kind(code - target[1]) for code in (-32768, 32767))
    step = (last - first) / kind(STEPS)
    inverse = kind(65536) / (high - low)
    at = first + np.arange(STEPS + 1).astype(kind) * step
    samples = function(at) * inverse
    middles = _round(function(at[:-1] + step / kind(2)) * inverse)
    between = _round((samples[1:] + _round(samples[:-1])) / kind(2))
    values = _round(samples[:-1]) - _round((between - middles) / kind(2))
    end = _round(function(np.array([last])) * inverse)
    table: NDArray[np.int16] = np.clip(np.concatenate([values, end]), -32768, 32767).astype(np.int16)
    return table


def _round(values: Reals) -> Reals:
    """Ties away from zero."""
    whole = np.trunc(values)
    rest = values - whole
    rounded: Reals = whole + (rest >= 0.5) - (rest <= -0.5)
    return rounded.astype(values.dtype)
