"""What ONNX Runtime computes in its own way on x86. Source: microsoft/onnxruntime onnxruntime/core/mlas/lib."""

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fused import fused_multiply_add
from hwsim.kernels.integers import clamp


@kernel
def add_onnxruntime(first, second, ratios, constant, minimum, maximum, out):
    """QLinearAdd: two fused multiply-adds of raw codes, the zero points in a constant; ties to even, clamped.

    first, second, out : 8 bits, (samples, size); ratios : float32 (2,), input over output scale; constant : float32
    Source: qladd.cpp, MlasQLinearAddKernel.
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            value = fused_multiply_add(np.float32(second[n, i]), ratios[1], constant)
            value = fused_multiply_add(np.float32(first[n, i]), ratios[0], value)
            out[n, i] = clamp(np.int64(np.rint(value)), np.int64(minimum), np.int64(maximum))


@kernel
def mul_onnxruntime(first, second, p, out):
    """QLinearMul: the product of both differences times a float32 scale, the zero point added before the rounding.

    first, second, out : 8 bits, (samples, size); p : MulParams, of which the multiplier is not used
    Source: qlmul.cpp, MlasQLinearMulKernel; ties to even.
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            product = (np.int64(first[n, i]) - p.zero_points[0]) * (np.int64(second[n, i]) - p.zero_points[1])
            value = np.rint(np.float32(product) * np.float32(p.scale) + np.float32(p.zero_point))
            out[n, i] = clamp(np.int64(value), np.int64(p.minimum), np.int64(p.maximum))


@kernel
def quantize_divided_half_even(values, scale, zero_point, minimum, maximum, out):
    """QuantizeLinear: a true float32 division, limited to the codes, ties to even; NaN gives `minimum`.

    values : float32 (samples, size); out : integer (samples, size). Source: quantize.cpp, MlasQuantizeLinear.
    """
    low, high = np.float32(minimum - zero_point), np.float32(maximum - zero_point)
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            quotient = values[n, i] / np.float32(scale)
            limited = min(quotient, high) if quotient > low else low
            out[n, i] = np.int64(np.rint(limited)) + np.int64(zero_point)
