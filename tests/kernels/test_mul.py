import numpy as np
import pytest

from hwsim.kernels.mul import MulParams, mul_tflite_simd
from tests.naive import double_rounding
from tests.naive.rounding import clamp, wrap


@pytest.mark.parametrize("saturates", [True, False])
def test_vector_body_keeps_16_bits_and_the_tail_does_not(saturates):
    params = MulParams((-128, -128), 2**30, 2, 0.0, 5, -128, 127)
    first = np.arange(-128, 128, 16, dtype=np.int8).reshape(1, -1)
    second = np.full(first.shape, 127, np.int8)
    out = np.empty(first.shape, np.int8)
    mul_tflite_simd(first, second, params, 16, 8, saturates, out)
    for i, (a, b) in enumerate(zip(first[0].tolist(), second[0].tolist(), strict=True)):
        value = double_rounding((a + 128) * (b + 128), 2**30, 2)
        if i < 8:
            value = clamp(value, -(2**15), 2**15 - 1) if saturates else wrap(value, 16)
            value = wrap(value + 5, 16)
        else:
            value += 5
        assert out[0, i] == clamp(value, -128, 127)
