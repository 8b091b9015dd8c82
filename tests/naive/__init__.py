"""Slow integer oracles for the 8-bit engines, written apart from the kernels they judge.

Everything here is a plain loop over Python integers (``int``, ``Fraction``); numpy only carries
arrays, and supplies ``float32`` arithmetic where an engine itself computes in floats. Nothing is
imported from the package under test. Tensors are NHWC, weights have the TFLite layout, and each
function's docstring names the source it follows.

Scales are Python floats that hold float32 values, as read from a model. Where a function takes
``(scale, zero_point)`` pairs they are given in that order.
"""

from .elementwise import add, arg_max, concatenation, dequantize, pad, quantize, requantize, reshape
from .linear import (
    batch_matmul,
    conv2d,
    depthwise_conv2d,
    fully_connected,
    output_stage,
    same_padding,
    transpose_conv,
)
from .reduction import average_pool_2d, max_pool_2d, mean
from .resize import resize_bilinear
from .rounding import (
    activation_range,
    double_half_up,
    double_rounding,
    effective_scales,
    float32,
    float64,
    quantize_multiplier,
    reduced_int64,
    single_rounding,
)
from .softmax import softmax

__all__ = [
    "activation_range",
    "add",
    "arg_max",
    "average_pool_2d",
    "batch_matmul",
    "concatenation",
    "conv2d",
    "depthwise_conv2d",
    "dequantize",
    "double_half_up",
    "double_rounding",
    "effective_scales",
    "float32",
    "float64",
    "fully_connected",
    "max_pool_2d",
    "mean",
    "output_stage",
    "pad",
    "quantize",
    "quantize_multiplier",
    "reduced_int64",
    "requantize",
    "reshape",
    "resize_bilinear",
    "same_padding",
    "single_rounding",
    "softmax",
    "transpose_conv",
]
