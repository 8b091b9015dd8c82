import pytest

from hwsim.cost_models import Work, estimate
from hwsim.cost_models.cluster import _engine_cycles
from hwsim.cost_models.measurements import read_measurements, shipped_network
from hwsim.cost_models.work import chain
from hwsim.targets import MEASUREMENTS, target


def layer(kernel=3, *, depthwise=False, stride=1, weight_bits=8):
    taps = kernel * kernel * (1 if depthwise else 32)
    return Work(
        "layer", "depthwise_conv2d" if depthwise else "conv2d", (18 * stride, 51 * stride, 32), (18, 51, 32),
        (kernel, kernel), (stride, stride), 32 if depthwise else 1, 18 * 51 * 32 * taps, 32 * taps, weight_bits,
    )  # fmt: skip


# DORY's Ne16PerfModel.py on the layer of its own example, 18 by 51 positions, 32 channels in and out, by hand:
# 1x1: 102 patches * (2 * (19 + 6 + 38 + 2) + 41 + 13); 3x3: 102 * (2 * (31 + 6 + 262 + 2) + 54);
# depthwise: 102 * 2 * (31 + 22 + 134 + 2 + 25 + 13).
@pytest.mark.parametrize(("work", "cycles"), [(layer(1), 18768), (layer(3), 66912), (layer(3, depthwise=True), 46308)])
def test_engine_equals_dory(work, cycles):
    assert _engine_cycles(work, target("gap9").profile.accelerator) == cycles


def test_engine_takes_weights_bit_by_bit():
    engine = target("gap9").profile.accelerator
    # 102 patches, 2 slices of channels, 32 filters, 4 bits fewer
    assert _engine_cycles(layer(), engine) - _engine_cycles(layer(weight_bits=4), engine) == 102 * 2 * 32 * 4


def test_cores_unpack_narrow_weights():
    wide, narrow = (estimate(chain("net", (layer(weight_bits=b),)), "gap8").layers[0].cost for b in (8, 4))
    assert narrow.compute_cycles - wide.compute_cycles == pytest.approx(layer().macs * 0.5 / 8)


def test_network_beyond_l2_takes_its_weights_from_l3():
    small, large = (estimate(shipped_network(n), "gap8") for n in ("mlperf_tiny_resnet8", "mobilenet_v1_1.0_128"))
    assert all(item.cost.traffic_bytes["l3"][0] == 0 for item in small.layers if item.cost.traffic_bytes)
    assert sum(item.cost.traffic_bytes["l3"][0] for item in large.layers if item.cost.traffic_bytes) > 4e6


@pytest.mark.parametrize("row", read_measurements(MEASUREMENTS / "gap.csv"), ids=lambda row: row.network)
def test_shipped_constants_fit_what_they_were_fitted_to(row):
    found = estimate(shipped_network(row.network), row.target)
    assert found.latency_s == pytest.approx(row.latency_s, rel=0.05)
    assert found.energy_j == pytest.approx(row.energy_j, rel=0.02)
