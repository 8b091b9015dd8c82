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


@kernel
def average_pool_onnxruntime(images, window, real, divisor, zero_point, minimum, maximum, out):
    """QLinearAveragePool: float32 values summed row by row, divided by the taps inside the image and by the scale.

    images, out : int8 or uint8 (batch, height, width, channels)
    real : float32 (256,), the value of each code from the smallest on; divisor : the output's scale
    Source: qlinear_pool.cc; the zero point is added in float32 before the rounding, ties to even.
    """
    _, height, width, channels = images.shape
    lowest = np.int64(minimum)
    for n in range(out.shape[0]):
        for y in range(out.shape[1]):
            top = y * window.stride_height - window.pad_top
            rows = max(top, 0), min(top + window.filter_height, height)
            for x in range(out.shape[2]):
                left = x * window.stride_width - window.pad_left
                columns = max(left, 0), min(left + window.filter_width, width)
                count = np.float32((rows[1] - rows[0]) * (columns[1] - columns[0]))
                for c in range(channels):
                    total = np.float32(0.0)
                    for row in range(rows[0], rows[1]):
                        for column in range(columns[0], columns[1]):
                            total += real[np.int64(images[n, row, column, c]) - lowest]
                    value = np.rint((total / count) / np.float32(divisor) + np.float32(zero_point))
                    out[n, y, x, c] = clamp(np.int64(value), lowest, np.int64(maximum))


@kernel
def mean_onnxruntime(sums, offset, scale, zero_point, minimum, maximum, out):
    """QLinearGlobalAveragePool: one float32 product, limited, ties to even.

    sums : int64 (outer, inner) of raw codes; offset : elements times the input's zero point; out : (outer, inner)
    Source: qlgavgpool.cpp, MlasRequantizeOutputVector.
    """
    low, high = np.float32(minimum - zero_point), np.float32(maximum - zero_point)
    for i in range(sums.shape[0]):
        for k in range(sums.shape[1]):
            value = np.float32(sums[i, k] - np.int64(offset)) * np.float32(scale)
            out[i, k] = np.int64(np.rint(min(max(value, low), high))) + np.int64(zero_point)


@kernel
def softmax_onnxruntime(rows, table, levels, zero_point, maximum, out):
    """QLinearSoftmax: a float32 table of exponentials, summed in order; ties to even, limited to `maximum`.

    rows, out : int8 or uint8 (batch, depth); levels : float32, the whole part of the inverse output scale
    table : float32 (256,), by distance from the row's largest code. Source: qlinear_softmax.cc.
    """
    for n in range(rows.shape[0]):
        largest = np.int64(rows[n, 0])
        for k in range(1, rows.shape[1]):
            largest = max(largest, np.int64(rows[n, k]))
        total = np.float32(0.0)
        for k in range(rows.shape[1]):
            total += table[largest - np.int64(rows[n, k])]
        for k in range(rows.shape[1]):
            value = np.rint(table[largest - np.int64(rows[n, k])] * np.float32(levels) / total)
            out[n, k] = min(np.int64(value) + np.int64(zero_point), np.int64(maximum))


@kernel
def logistic_onnxruntime(values, rising, falling, out):
    """MLAS's logistic function: an odd polynomial over an even one, by fused multiply-adds, and a half.

    values, out : float32 (size,); rising, falling : float32 coefficients, those of the highest powers first
    Source: logistic.cpp and its assembly for processors with FMA.
    """
    for i in range(values.shape[0]):
        x = min(max(values[i], np.float32(-18.0)), np.float32(18.0))
        square = x * x
        over, under = rising[0], falling[0]
        for k in range(1, rising.shape[0]):
            over = fused_multiply_add(over, square, rising[k])
        for k in range(1, falling.shape[0]):
            under = fused_multiply_add(under, square, falling[k])
        out[i] = min(max(over * x / under + np.float32(0.5), np.float32(0.0)), np.float32(1.0))
