"""Real multipliers as integers: the step from scales to what an integer datapath holds.

Source: TFLite tflite/kernels/internal/quantization_util.cc (QuantizeMultiplier), kernel_util.cc (scale arithmetic).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SCALE_PRECISIONS = ("float64", "float32_product", "float32", "float32_reciprocal")
SIGNIFICANT_BITS = {"8_bits": 8, "15_bits": 15}
NARROW_SCALES = (*SIGNIFICANT_BITS, "power_of_two")
"""Ways to narrow a float64 multiplier to what a small multiplier, or none, can hold."""


def quantize_multiplier(real: Floats | float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write real multipliers as multiplier * 2^(shift - 31).

    Parameters
    ----------
    real : float64 array, shape (channels,), finite

    Returns
    -------
    multiplier : int64 array, each 0 or of magnitude in [2^30, 2^31)
    shift : int64 array, each >= -31; positive shifts left. Below -31 both are 0, as in TFLite.
    """
    values = np.atleast_1d(np.asarray(real, np.float64))
    fraction, exponent = np.frexp(values)
    multiplier = _round_half_away(fraction * 2.0**31).astype(np.int64)
    shift = exponent.astype(np.int64)
    full = np.abs(multiplier) == 2**31
    multiplier[full] //= 2
    shift[full] += 1
    flushed = (shift < -31) | (multiplier == 0)
    multiplier[flushed] = 0
    shift[flushed] = 0
    return multiplier, shift


def effective_scale(
    input_scale: float, weight_scale: NDArray[np.float32], output_scale: float, precision: str = "float64"
) -> Floats:
    """The real multiplier input_scale * weight_scale / output_scale, in an engine's own precision.

    Parameters
    ----------
    input_scale, output_scale : float32 values held in Python floats
    weight_scale : float32 array, shape (channels,)
    precision : 'float64'; 'float32_product' (the product rounded to float32, then divided in float64); 'float32'
        (both rounded); 'float32_reciprocal' (the product times the output scale's rounded reciprocal); or one of
        `NARROW_SCALES` (float64, then narrowed)

    Returns
    -------
    float64 array, shape (channels,)
    """
    if precision == "float64":
        return np.float64(input_scale) * weight_scale.astype(np.float64) / np.float64(output_scale)
    product = np.float32(input_scale) * weight_scale.astype(np.float32)
    if precision == "float32_product":
        return product.astype(np.float64) / np.float64(output_scale)
    if precision == "float32":
        return (product / np.float32(output_scale)).astype(np.float64)
    if precision == "float32_reciprocal":
        return (product * (np.float32(1.0) / np.float32(output_scale))).astype(np.float64)
    if precision in NARROW_SCALES:
        return narrowed(effective_scale(input_scale, weight_scale, output_scale), precision)
    known = (*SCALE_PRECISIONS, *NARROW_SCALES)
    raise ValueError(f"scale precision {precision!r}; expected one of {', '.join(known)}")


def narrowed(real: Floats, precision: str) -> Floats:
    """Real multipliers in a narrower form: so many significant bits, ties away from zero, or the nearest power of two.

    Nearest is meant by exponent: from sqrt(1/2) of a power of two upward. Other precisions change nothing.
    """
    fraction, exponent = np.frexp(real)
    if precision == "power_of_two":
        return np.where(real > 0, np.ldexp(1.0, exponent - (fraction < np.sqrt(0.5))), 0.0)
    if precision in SIGNIFICANT_BITS:
        bits = SIGNIFICANT_BITS[precision]
        rounded: Floats = np.ldexp(_round_half_away(np.ldexp(fraction, bits)), exponent - bits)
        return rounded
    return real


def activation_bounds(activation: str, scale: float, zero_point: int, type_limits: tuple[int, int]) -> tuple[int, int]:
    """The codes that a fused activation clamps to, within the dtype's limits.

    Parameters
    ----------
    activation : 'none', 'relu', 'relu6' or 'relu_n1_to_1'
    scale, zero_point : the output's
    type_limits : smallest and largest code
    """
    low, high = {"none": (None, None), "relu": (0.0, None), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}[
        activation
    ]
    smallest, largest = type_limits
    lower = smallest if low is None else max(smallest, _code(low, scale, zero_point))
    upper = largest if high is None else min(largest, _code(high, scale, zero_point))
    return lower, upper


def _code(value: float, scale: float, zero_point: int) -> int:
    quotient = np.float32(value) / np.float32(scale)
    return int(np.clip(zero_point + _round_half_away(np.float64(quotient)), -(2.0**31), 2.0**31 - 1))


def _round_half_away(values: Floats | np.float64) -> Floats:
    whole = np.trunc(values)
    rest = values - whole
    rounded: Floats = whole + (rest >= 0.5) - (rest <= -0.5)
    return rounded
