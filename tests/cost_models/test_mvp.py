"""Layers on Silicon Labs' MVP: counted by hand, and against its measured cycles."""

from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.measurements import read_measurements, shipped_network
from hwsim.cost_models.work import Work, chain

ROWS = Path(hwsim.__file__).parent / "targets" / "measurements" / "mvp.csv"
PLAIN = {"vector.stall_cycles": 1.0, "vector.start_cycles": 14.0}


def cost(work: Work, **settings: float) -> LayerCost:
    return hwsim.estimate(chain("layer", (work,)), "efr32xg24", settings=PLAIN | settings).layers[0].cost


def test_max_pool_runs_a_tap_each_cycle_and_one_program_for_two_channels() -> None:
    pool = Work("pool", "max_pool_2d", (4, 4, 6), (2, 2, 6), kernel=(2, 2), stride=(2, 2))
    assert cost(pool).compute_cycles == 3 * (4 * (4 + 2) + 14)


def test_odd_channels_are_not_paired() -> None:
    pool = Work("pool", "max_pool_2d", (4, 4, 3), (2, 2, 3), kernel=(2, 2), stride=(2, 2))
    assert cost(pool).compute_cycles == 3 * (4 * (4 + 2) + 14)


def test_addition_of_a_pair_takes_four_instructions_and_three_waits() -> None:
    assert cost(Work("add", "add", (1, 1, 100), (1, 1, 100))).compute_cycles == 50 * 7 + 14


def test_convolution_needs_a_program_for_each_border() -> None:
    def programs(size: int, kernel: int, out: int) -> float:
        conv = Work("c", "conv2d", (size, size, 2), (out, out, 2), kernel=(kernel, kernel), macs=1, weights=1)
        library = "runtimes.tflm-mvp.kernels.conv2d."
        return cost(conv, **{f"{library}call_cycles": 0, f"{library}program_cycles": 1}).overhead_cycles

    assert programs(8, 1, 8) == 1
    assert programs(8, 3, 8) == 11  # corners and sides 8, and the middle in three passes
    assert programs(8, 3, 6) == 3


def test_wide_integers_stay_on_the_processor() -> None:
    wide = Work("add", "add", (1, 1, 100), (1, 1, 100), activation_bits=16)
    assert cost(wide).overhead_cycles == 0


@pytest.mark.parametrize("part", ["compute", "overhead"])
def test_layers_take_the_cycles_that_were_measured(part: str) -> None:
    rows = [row for row in read_measurements(ROWS) if row.part == part]
    estimates = {name: hwsim.estimate(shipped_network(name), "efr32xg24") for name in {row.network for row in rows}}
    errors = []
    for row in rows:
        layers = {layer.work.name: layer.cost for layer in estimates[row.network].layers}
        seconds = getattr(layers[row.layer], f"{part}_cycles") / 78e6
        errors.append(abs(seconds / row.latency_s - 1))
    assert np.median(errors) < 0.03
    assert np.mean(np.array(errors) < 0.15) > 0.95


def test_held_out_networks_were_within_the_goal() -> None:
    band = hwsim.targets()["efr32xg24"].profile.bands.latency
    assert band is not None and band.median_error < 0.15
