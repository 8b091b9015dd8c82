import ctypes
import ctypes.util
import math

import numpy as np
import pytest

from hwsim.quantizers.expf import expf


def test_expf_equals_the_c_library():
    name = ctypes.util.find_library("m")
    if (
        name is None
        or "GLIBC" not in str(getattr(__import__("os"), "confstr", lambda _: "")("CS_GNU_LIBC_VERSION")).upper()
    ):
        pytest.skip("needs glibc")
    function = ctypes.CDLL(name).expf
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    values = np.random.default_rng(0).uniform(-100, 2, 20000).astype(np.float32)
    np.testing.assert_array_equal(expf(values), np.array([function(float(v)) for v in values], np.float32))


def test_expf_is_within_one_unit_of_the_exact_value():
    values = np.linspace(-80, 0, 997).astype(np.float32)
    exact = np.array([math.exp(float(v)) for v in values])
    assert (np.abs(expf(values) - exact) <= np.spacing(exact.astype(np.float32))).all()
