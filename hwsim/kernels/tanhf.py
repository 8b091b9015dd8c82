"""float32 hyperbolic tangent to the last bit of the C library that the engines' tables are built with.

Source: Sun's fdlibm, s_tanhf.c and s_expm1f.c, as in glibc 2.36 (measured); 2.41 has another tanhf, whose last bit
differs on a tenth of all arguments and so moves about one code in a million.
"""

import numpy as np

from hwsim.kernels import kernel


@kernel
def expm1f(x):
    """exp(x) - 1 of what tanhf asks for: a float32 `x` in [-2, -2^-25] or [2, 44]."""
    one, half = np.float32(1.0), np.float32(0.5)
    high, low = np.float32(6.9313812256e-01), np.float32(9.0580006145e-06)
    k, c = np.int64(0), np.float32(0.0)
    if abs(x) > np.float32(0.34657359):
        if abs(x) < np.float32(1.0397208):
            k = np.int64(-1)
        else:
            k = np.int64(np.trunc(np.float32(1.4426950216) * x + (half if x > 0 else -half)))
        above, below = x - np.float32(k) * high, np.float32(k) * low
        x = above - below
        c = (above - x) - below
    hfx = half * x
    hxs = x * hfx
    r = np.float32(4.0082177293e-06) + hxs * np.float32(-2.0109921195e-07)
    r = np.float32(1.5873016091e-03) + hxs * (np.float32(-7.9365076090e-05) + hxs * r)
    r = one + hxs * (np.float32(-3.3333335072e-02) + hxs * r)
    t = np.float32(3.0) - r * hfx
    e = hxs * ((r - t) / (np.float32(6.0) - x * t))
    if k == 0:
        return x - (x * e - hxs)
    e = (x * (e - c) - c) - hxs
    if k == -1:
        return half * (x - e) - half
    power = np.float32(2.0 ** np.float64(k))
    if k <= -2 or k > 56:
        return (one - (e - x)) * power - one
    inverse = np.float32(2.0 ** -np.float64(k))
    if k < 23:
        return ((one - inverse) - (e - x)) * power
    return ((x - (e + inverse)) + one) * power


@kernel
def tanhf(values, out):
    """C's tanhf. values : float32 (size,), finite; out : float32 of the same shape."""
    one, two = np.float32(1.0), np.float32(2.0)
    for i in range(out.shape[0]):
        x = np.float32(values[i])
        if abs(x) < np.float32(2.0**-25):
            out[i] = x
            continue
        if abs(x) >= np.float32(22.0):
            z = one
        elif abs(x) >= one:
            z = one - two / (expm1f(two * abs(x)) + two)
        else:
            t = expm1f(-two * abs(x))
            z = -t / (t + two)
        out[i] = z if x >= 0 else -z
