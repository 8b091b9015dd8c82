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

    The zero point is added after the rounding, in the rest before it.
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
            scaled = (a + b) * np.float32(p.inverse)
            if i < body:
                value = np.int64(np.rint(scaled)) + np.int64(p.zero_point)
            else:
                value = np.int64(np.rint(scaled + np.float32(p.zero_point)))
            out[n, i] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))


@kernel
def add_codes_to_reals(reals, codes, scale, inverse, p, out):
    """oneDNN's sum after a convolution: codes times their scale join real values in one fused multiply-add.

    reals : float32, codes, out : uint8, all (size,); scale : of `codes`; inverse : of the output's scale
    p : (zero point of `codes`, output's zero point, minimum, maximum); ties to even, the zero point before the rounding
    """
    for i in range(out.shape[0]):
        value = fused_multiply_add(np.float32(np.int64(codes[i]) - p[0]), np.float32(scale), reals[i])
        code = np.rint(value * np.float32(inverse) + np.float32(p[1]))
        out[i] = clamp(np.int64(code), np.int64(p[2]), np.int64(p[3]))


class Mean(NamedTuple):
    """factor : float32, what a sum times which is a mean in the output's scale; rest : for channels past `body`

    body : channels whose zero point is added after the rounding, or if `fused` before it in one fused multiply-add;
        in the others it is added before, in float32
    zero_point, minimum, maximum : the output's
    """

    factor: float
    rest: float
    body: int
    fused: bool
    zero_point: int
    minimum: int
    maximum: int


@kernel
def mean_codes(sums, p, out):
    """Codes of means from int32 sums without zero points, both (rows, channels); ties to even.

    p : Mean. Source: native/quantized/cpu/kernels/QuantizedOpKernels.cpp, _qavg_pool_nhwc_kernel and
    _qadaptive_avg_pool_kernel, with FBGEMM's Quantize; measured on torch 2.13.0.
    """
    point = np.float32(p.zero_point)
    for row in range(sums.shape[0]):
        for c in range(sums.shape[1]):
            total = np.float32(sums[row, c])
            if c >= p.body:
                value = np.int64(np.rint(total * np.float32(p.rest) + point))
            elif p.fused:
                value = np.int64(np.rint(fused_multiply_add(total, np.float32(p.factor), point)))
            else:
                value = np.int64(np.rint(total * np.float32(p.factor))) + np.int64(p.zero_point)
            out[row, c] = clamp(value, np.int64(p.minimum), np.int64(p.maximum))
