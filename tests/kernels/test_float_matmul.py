import numpy as np
import pytest

from hwsim.kernels.float_matmul import accumulate_float


def naive(row, taps, bias):
    """The stated order, one rounding at a time."""
    f, total = np.float32, np.float32(bias)
    products = [f(f(a) * f(w)) for a, w in zip(row, taps, strict=True)]
    whole = len(products) // 4 * 4
    for k in range(0, whole, 4):
        total = f(total + f(f(products[k] + products[k + 1]) + f(products[k + 2] + products[k + 3])))
    for product in products[whole:]:
        total = f(total + product)
    return total


@pytest.mark.parametrize(("pixels", "depth", "channels"), [(1, 1, 1), (3, 7, 2), (66, 9, 17), (2, 64, 33)])
def test_sums_are_in_the_stated_order(pixels, depth, channels):
    g = np.random.default_rng(depth)
    rows, weights, bias = (g.normal(0, 1, s).astype(np.float32) for s in ((pixels, depth), (depth, channels), channels))
    out = np.empty((pixels, channels), np.float32)
    accumulate_float(rows, weights, bias, out)
    expected = [[naive(row, taps, b) for taps, b in zip(weights.T, bias, strict=True)] for row in rows]
    np.testing.assert_array_equal(out, np.array(expected, np.float32))
