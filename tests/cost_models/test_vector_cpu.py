"""Application cores: small cases by hand, and what the shipped targets claim."""

from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.cost_models.cost import LayerCost
from hwsim.cost_models.measurements import read_measurements, shipped_network
from hwsim.cost_models.work import Work, chain

ROWS = Path(hwsim.__file__).parent / "targets" / "measurements" / "cortex_a.csv"
RUNTIME = "runtimes.xnnpack-fp32."
PLAIN = {
    "core.float_macs_per_cycle": 4.0,
    "core.threads": 1,
    "memories.dram.bytes_per_cycle": 2.0,
    f"{RUNTIME}pointwise": 0.5,
    f"{RUNTIME}output_cycles": 1.0,
    f"{RUNTIME}layer_cycles": 100.0,
    f"{RUNTIME}serial": 0.0,
}


def pointwise(channels: int, size: int = 10) -> Work:
    macs = size * size * 16 * channels
    return Work("c", "conv2d", (size, size, 16), (size, size, channels), macs=macs, weights=16 * channels)


def cost(work: Work, **settings: float) -> LayerCost:
    e = hwsim.estimate(chain("layer", (work,)), "cortex-a72", "xnnpack-fp32", settings=PLAIN | settings)
    return e.layers[0].cost


def test_pointwise_convolution_by_hand() -> None:
    assert cost(pointwise(8)).cycles == 100 * 16 * 8 / (4 * 0.5) + 100 * 8 + 100


def test_channels_are_rounded_up_to_whole_tiles() -> None:
    inner = {f"{RUNTIME}output_cycles": 0.0}
    assert cost(pointwise(9), **inner).cycles == cost(pointwise(16), **inner).cycles


def test_threads_share_a_layer_but_no_more_than_there_are_cores() -> None:
    two, four, many = (cost(pointwise(8), **{"core.threads": n}).compute_cycles for n in (2, 4, 64))
    assert two == 2 * four and many == four


def test_large_activations_wait_for_dram() -> None:
    layer = cost(pointwise(8, size=400), **{"memories.dram.bytes_per_cycle": 0.5})
    assert layer.memory_cycles == 4 * 400 * 400 * (16 + 8) / 0.5
    assert layer.bound == "memory"


@pytest.mark.parametrize("target", ["cortex-a7", "cortex-a53", "cortex-a72"])
def test_shipped_constants_meet_the_measured_rows(target: str) -> None:
    errors = []
    for row in read_measurements(ROWS):
        if row.target == target:
            settings = dict(row.settings)
            e = hwsim.estimate(shipped_network(row.network), target, row.runtime, settings=settings)
            errors.append(abs(e.latency_s / row.latency_s - 1))
    assert np.median(errors) < 0.15
