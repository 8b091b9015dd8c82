import pytest

from hwsim.reports.units import kib, percent, si, si_band


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"),
        (None, "-"),
        (1.5, "1.5 s"),
        (0.01234, "12.3 ms"),
        (999.9e-6, "1e+03 us"),
        (4e-9, "4 ns"),
        (2500, "2500 s"),
    ],
)
def test_si(value, text):
    assert si(value, "s") == text


def test_si_band():
    assert si_band(0.012, (0.010, 0.015), "s") == "12 ms (10 ms to 15 ms)"
    assert si_band(0.012, None, "s") == "12 ms"


def test_bytes_and_shares():
    assert [kib(5), kib(2048), kib(3 << 20)] == ["5 B", "2.0 KiB", "3.00 MiB"]
    assert percent(0.1234) == "12.3 %"
