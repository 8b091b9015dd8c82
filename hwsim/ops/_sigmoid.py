"""What LOGISTIC and TANH share: the input of gemmlowp's fixed-point functions, and what XNNPACK takes."""

from math import floor

from hwsim.graph import NodeView
from hwsim.ops._byte_function import multiplier_of

INTEGER_BITS = 4


def fixed_point_input(view: NodeView) -> tuple[int, int, int]:
    """Multiplier and shift to 4 integer bits and 27 fraction bits, and the centered code from which on those overflow.

    Source: TFLM micro/kernels/logistic_common.cc, tanh.cc; TFLite quantization_util.cc, CalculateInputRadius.
    """
    multiplier, shift = multiplier_of(view.input(0).scale * 2.0 ** (31 - INTEGER_BITS))
    furthest = ((1 << INTEGER_BITS) - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift
    return multiplier, shift, floor(furthest)
