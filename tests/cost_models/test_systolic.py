import pytest

from hwsim.cost_models.systolic import gemm_cycles
from hwsim.errors import InputError

# "Total Cycles" printed by the SCALE-Sim v3 simulator with unlimited bandwidth: dataflow, rows, cols, m, k, n, cycles.
SCALE_SIM = [
    ("os", 8, 8, 64, 576, 64, 37759),
    ("os", 8, 8, 196, 72, 16, 4299),
    ("os", 32, 8, 196, 72, 16, 1539),
    ("os", 64, 64, 260, 60, 33, 929),
    ("os", 64, 64, 256, 9, 1, 539),
    ("ws", 8, 8, 1, 640, 128, 29439),
    ("ws", 16, 16, 1024, 27, 16, 2139),
    ("ws", 8, 8, 1024, 27, 16, 8367),
    ("ws", 16, 32, 1, 640, 128, 10079),
    ("is", 64, 64, 256, 9, 1, 763),
    ("is", 16, 32, 196, 64, 64, 3527),
    ("is", 16, 32, 256, 9, 1, 503),
    ("is", 32, 8, 1, 100, 10, 319),
]


@pytest.mark.parametrize(("dataflow", "rows", "cols", "m", "k", "n", "cycles"), SCALE_SIM)
def test_gemm_cycles_equal_scale_sim(dataflow, rows, cols, m, k, n, cycles):
    assert gemm_cycles(dataflow=dataflow, rows=rows, cols=cols, m=m, k=k, n=n) == cycles


def test_gemm_cycles_names_the_dataflows():
    with pytest.raises(InputError, match=r"^unknown dataflow 'xs'; expected one of is, os, ws$"):
        gemm_cycles(dataflow="xs", rows=8, cols=8, m=1, k=1, n=1)


def test_gemm_cycles_refuses_an_empty_array():
    with pytest.raises(InputError, match=r"^rows is 0; must be at least 1$"):
        gemm_cycles(dataflow="os", rows=0, cols=8, m=1, k=1, n=1)
