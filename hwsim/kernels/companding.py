"""Learned companding of float values, forward and backward, in one pass each.

Source: Yamamoto, Learnable Companding Quantization (arXiv 2103.07156).
"""

import numpy as np

from hwsim.kernels import kernel


@kernel
def compand(values, per_alpha, starts, rises, levels, codes, out):
    """A value at place p = value * per_alpha, in interval k = floor(p), has code starts[k] + rises[k] * (p - k), ties
    to even, and becomes levels[code]; places are limited to the intervals, below 0 and above the last.

    values, out : float32 or float64 (size,); starts, rises : float64 (intervals + 1,), in codes, the last rise 0;
    levels : float64 (codes,); codes : uint8 (size,)
    """
    last = np.float64(starts.shape[0] - 1)
    for i in range(out.shape[0]):
        place = np.float64(values[i]) * per_alpha
        place = place if place < last else last
        place = place if place > 0 else 0.0
        interval = np.int64(place)
        code = np.int64(np.rint(starts[interval] + rises[interval] * (place - interval)))
        codes[i] = code
        out[i] = levels[code]


@kernel
def compand_backward(values, per_alpha, codes, gradient, dvalues, sums, placed):
    """The gradient of the values: 1 above 0 and below the last place, else 0; and for every interval and code the sums
    of the gradient, and of the gradient times the place, from which all other gradients follow.

    gradient, dvalues : as values; sums, placed : float64 (intervals + 1, codes), 0 at the start
    """
    last = np.float64(sums.shape[0] - 1)
    for i in range(dvalues.shape[0]):
        place, towards = np.float64(values[i]) * per_alpha, np.float64(gradient[i])
        towards = towards if place > 0 else 0.0
        dvalues[i] = towards if place < last else 0.0
        place = place if place < last else last
        place = place if place > 0 else 0.0
        interval, code = np.int64(place), np.int64(codes[i])
        sums[interval, code] += towards
        placed[interval, code] += towards * place
