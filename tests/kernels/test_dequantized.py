"""Sums and means of real values behind codes, rounded where PyTorch rounds: against exact fractions."""

from fractions import Fraction

import numpy as np

from hwsim.kernels.dequantized import DequantizedSum, Mean, add_codes_to_reals, add_dequantized, mean_codes
from hwsim.kernels.requantize import ROUNDINGS, OutputStage, requantize_rows

FORMS = ((0.0123, 7), (0.0291, 201))


def float32(value: Fraction) -> Fraction:
    """`value` to the nearest float32, ties to even; not subnormal."""
    if value == 0:
        return value
    exponent = 0
    while abs(value) >= 2 ** (exponent + 1):
        exponent += 1
    while abs(value) < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (exponent - 23)
    return round(value / unit) * unit


def exact(value: float) -> Fraction:
    """A float32 as a fraction."""
    return Fraction(float(np.float32(value)))


def test_a_sum_is_fused_in_vectors_and_rounded_step_by_step_after_them():
    g = np.random.default_rng(1)
    codes = [g.integers(0, 256, (40, 100), np.uint8) for _ in FORMS]
    (first, a), (second, b) = ((exact(scale), point) for scale, point in FORMS)
    moved = [float32(first * -a), float32(second * -b)]
    inverse = float32(1 / exact(0.0173))
    numbers = (float(first), float(second)), (float(moved[0]), float(moved[1])), (a, b), float(inverse), 90, 3, 250
    out = np.empty(codes[0].shape, np.uint8)
    add_dequantized(*codes, DequantizedSum(*numbers), 64, out)
    for (n, i), code in np.ndenumerate(out):
        x, y = (int(values[n, i]) for values in codes)
        if i < 64:
            scaled = float32(float32(x * first + moved[0]) + float32(y * second + moved[1]))
            expected = round(float32(scaled * inverse)) + 90
        else:
            scaled = float32(float32((x - a) * first) + float32((y - b) * second))
            expected = round(float32(float32(scaled * inverse) + 90))
        assert code == min(max(expected, 3), 250), (n, i)


def test_codes_join_real_values_in_one_fused_multiply_add():
    g = np.random.default_rng(2)
    reals, codes = g.normal(0, 2, 3000).astype(np.float32), g.integers(0, 256, 3000, np.uint8)
    scale, inverse = exact(0.0217), float32(1 / exact(0.031))
    out = np.empty(3000, np.uint8)
    add_codes_to_reals(reals, codes, float(scale), float(inverse), (33, 70, 70, 255), out)
    for real, code, found in zip(reals, codes, out, strict=True):
        value = float32((int(code) - 33) * scale + Fraction(float(real)))
        assert found == min(max(round(float32(float32(value * inverse) + 70)), 70), 255)


def test_means_add_the_zero_point_where_pytorch_does():
    g = np.random.default_rng(3)
    sums = g.integers(-40_000, 40_000, (500, 10), np.int32)
    factor, rest = exact(1 / 300), exact(1 / 299)
    for fused in (False, True):
        out = np.empty(sums.shape, np.uint8)
        mean_codes(sums, Mean(float(factor), float(rest), 8, fused, 128, 0, 255), out)
        for (row, c), code in np.ndenumerate(out):
            total = int(sums[row, c])
            if c >= 8:
                expected = round(float32(float32(total * rest) + 128))
            else:
                expected = round(float32(total * factor + 128)) if fused else round(float32(total * factor)) + 128
            assert code == min(max(expected, 0), 255), (row, c)


def test_onednn_rounds_after_every_step():
    g = np.random.default_rng(4)
    sums = g.integers(-(2**22), 2**22, (400, 3), np.int32)
    scales, bias = g.uniform(1e-3, 1e-2, 3).astype(np.float32), g.normal(0, 50, 3).astype(np.float32)
    source, inverse, nothing = exact(0.0131), float32(1 / exact(2.9)), np.zeros(3, np.int64)
    doubles = scales.astype(np.float64), bias.astype(np.float64)
    stage = OutputStage(
        ROUNDINGS["float32_in_turn"], nothing, nothing, doubles[0], 117, 0, 255, bias=doubles[1],
        source_scale=float(source), inverse_scale=float(inverse),
    )  # fmt: skip
    out = np.empty(sums.shape, np.uint8)
    requantize_rows(sums, stage, out)
    for (row, c), code in np.ndenumerate(out):
        value = float32(float32(int(sums[row, c]) * source) * exact(scales[c]))
        value = float32(value + exact(bias[c]))
        assert code == min(max(round(float32(float32(value * inverse) + 117)), 0), 255)
