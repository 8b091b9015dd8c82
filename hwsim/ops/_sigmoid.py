"""What LOGISTIC and TANH share: the input of gemmlowp's fixed-point functions, and the table of the int16 ones."""

from functools import cache
from math import exp, floor

import numpy as np
from numpy.typing import NDArray

from hwsim.graph import NodeView
from hwsim.ops._byte_function import multiplier_of

INTEGER_BITS = 4
LARGEST_MULTIPLIER, LARGEST_SHIFT = 32767.0, 30
_ONE_MORE = (
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43, 44, 45, 46, 49,
    50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
)  # fmt: skip


def fixed_point_input(view: NodeView) -> tuple[int, int, int]:
    """Multiplier and shift to 4 integer bits and 27 fraction bits, and the centered code from which on those overflow.

    Source: TFLM micro/kernels/logistic_common.cc, tanh.cc; TFLite quantization_util.cc, CalculateInputRadius.
    """
    multiplier, shift = multiplier_of(view.input(0).scale * 2.0 ** (31 - INTEGER_BITS))
    furthest = ((1 << INTEGER_BITS) - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift
    return multiplier, shift, floor(furthest)


@cache
def sigmoid_table() -> NDArray[np.uint16]:
    """The logistic function of i / 24 in 16 fraction bits, shape (256,), as TFLite and TFLM store it.

    Source: TFLite tflite/kernels/internal/common.h, sigmoid_table_uint16: the rounded values, one more at 44 places.
    """
    exact = [round(65536 / (1 + exp(-i / 24))) + (i in _ONE_MORE) for i in range(256)]
    return np.minimum(exact, 65535).astype(np.uint16)


def power_of_two(view: NodeView) -> int | None:
    """The input scale's exponent of 2 counted from 2^-12, None where the scale is no power of two.

    Source: TFLite tflite/kernels/internal/quantization_util.cc, CheckedLog2, within a thousandth in float32.
    """
    exponent = np.log(np.float32(view.input(0).scale)) * np.float32(np.float32(1.0) / np.log(np.float32(2.0)))
    nearest = int(np.rint(exponent))
    return nearest + 12 if abs(exponent - np.float32(nearest)) < np.float32(1e-3) else None


def table_input(view: NodeView, plain_shifts: tuple[int, ...]) -> tuple[int, int]:
    """Multiplier and right shift that take codes to steps of 1 / (3 * 4096).

    plain_shifts : values of `power_of_two` that the engine takes as they are
    Source: LiteRT tflite/kernels/activations.cc, SigmoidPrepare and TanhPrepare.
    """
    left_shift = power_of_two(view)
    if left_shift is not None and left_shift in plain_shifts:
        return 3 << left_shift, 0
    real = view.input(0).scale * 4096.0 * 3.0
    shift = 0
    while real <= LARGEST_MULTIPLIER / 2.0 and shift <= LARGEST_SHIFT:
        real *= 2.0
        shift += 1
    return int(real), shift
