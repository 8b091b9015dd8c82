"""Sums that PyTorch takes of real values behind codes. Source: pytorch/pytorch aten/src/ATen, as named below."""

from typing import NamedTuple

import numpy as np

from hwsim.kernels import kernel
from hwsim.kernels.fused import fused_multiply_add
from hwsim.kernels.integers import clamp


class DequantizedSum(NamedTuple):
    """scales, moved : float32 of each input: its scale, and minus its zero point times that

    zero_points : of the inputs; inverse : float32, the output scale's reciprocal
    zero_point, minimum, maximum : the output's
    """

    scales: tuple[float, float]
    moved: tuple[float, float]
    zero_points: tuple[int, int]
    inverse: float
    zero_point: int
    minimum: int
    maximum: int


@kernel
def add_dequantized(first, second, p, body, out):
    """Add real values, in `body` elements with fused multiply-adds, in the rest with a difference and a product.

    first, second, out : 8 bits, (samples, size); p : DequantizedSum. Ties to even.
    Source: native/quantized/cpu/kernels/QuantizedOpKernels.cpp, qadd_kernel; cpu/vec/vec512/vec512_qint.h.
    """
    for n in range(out.shape[0]):
        for i in range(out.shape[1]):
            if i < body:
                a = fused_multiply_add(np.float32(first[n, i]), np.float32(p.scales[0]), np.float32(p.moved[0]))
                b = fused_multiply_add(np.float32(second[n, i]), np.float32(p.scales[1]), np.float32(p.moved[1]))
            else:
                a = np.float32(np.int64(first[n, i]) - p.zero_points[0]) * np.float32(p.scales[0])
                b = np.float32(np.int64(second[n, i]) - p.zero_points[1]) * np.float32(p.scales[1])
            value = np.int64(np.rint((a + b) * np.float32(p.inverse))) + np.int64(p.zero_point)
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
