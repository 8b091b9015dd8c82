import time

import pytest

import hwsim
from hwsim.cost_models import estimate, read_layer_table
from hwsim.errors import InputError
from hwsim.targets import names, target
from tests.cost_models.test_layer_table import OWN

HEADER, *_ = OWN.splitlines()


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.csv"
    path.write_text(OWN)
    return path


def test_systolic_by_hand(small):
    """32 x 32, weights stay: folds (t + 2 rows + cols - 2) - 1 cycles a product, 16 bytes a cycle from outside."""
    conv, depthwise, add = estimate(small, "systolic").layers
    assert conv.cost.compute_cycles == 16 + 64 + 32 - 2 - 1
    assert depthwise.cost.compute_cycles == 16 * (16 + 64 + 32 - 2 - 1)
    assert add.cost.compute_cycles == 256 / 32
    assert conv.cost.memory_cycles == (432 + 64) / 16
    assert conv.cost.traffic_bytes == {"sram": (192 + 496, 256), "dram": (496, 0)}
    picojoules = 6912 * 0.23 + (192 + 496 + 256) * 2.5 + 496 * 162.5
    assert conv.energy_j == pytest.approx(picojoules * 1e-12, rel=1e-12)


def test_totals_are_the_sums_of_the_layers(small):
    found = estimate(small, "systolic")
    assert found.latency_s == sum(layer.latency_s for layer in found.layers)
    assert found.cycles == pytest.approx(found.latency_s * 1e9)
    assert list(found.table["layer"]) == ["conv", "dw", "sum"]


def test_a_slow_memory_bounds_a_layer(small):
    found = estimate(small, "systolic", settings={"memories.dram.bytes_per_cycle": 0.5})
    assert found.layers[0].cost.bound == "memory"
    assert found.layers[0].cost.cycles == 496 / 0.5


def test_wide_weights_take_more_passes(tmp_path):
    for bits in (8, 16):
        (tmp_path / f"w{bits}.csv").write_text(f"{HEADER},weight_bits\nc,Conv2D,8,8,64,8,8,64,3,3,1,1,,,{bits}\n")
    narrow, wide = (estimate(tmp_path / f"w{bits}.csv", "systolic") for bits in (8, 16))
    assert wide.layers[0].cost.compute_cycles == 2 * narrow.layers[0].cost.compute_cycles
    assert wide.energy_j > narrow.energy_j


@pytest.mark.parametrize("name", names())
def test_every_target_prices_every_layer(small, name):
    profile = target(name).profile
    for runtime in [None, *getattr(profile, "runtimes", {})]:
        found = estimate(small, name, runtime)
        assert len(found.layers) == 3
        assert all(layer.latency_s > 0 for layer in found.layers)
        assert all(layer.energy_j is None or layer.energy_j > 0 for layer in found.layers)
        assert 0 < found.utilization <= 1


@pytest.mark.parametrize("name", names())
def test_more_work_never_takes_less_time(tmp_path, name):
    def latency(channels: int) -> float:
        path = tmp_path / f"c{channels}.csv"
        path.write_text(f"{HEADER}\nc,Conv2D,16,16,{channels},16,16,{channels},3,3,1,1,,\n")
        return estimate(path, name).latency_s

    assert latency(8) < latency(32) < latency(128)


@pytest.mark.parametrize("name", names())
def test_a_faster_clock_is_proportionally_faster_or_bound_by_a_memory(small, name):
    clock = target(name).profile.clock_hz
    slow, fast = (estimate(small, name, settings={"clock_hz": clock * factor}).latency_s for factor in (1, 2))
    assert slow / 2 <= fast * 1.0001 <= slow * 1.0001


def test_unknown_runtime_names_the_known(small):
    with pytest.raises(InputError, match=r"^target 'systolic' has no runtimes to choose from; leave out 'x'$"):
        estimate(small, "systolic", "x")


def test_a_path_that_is_no_table_says_what_to_do():
    with pytest.raises(InputError, match=r"^net.tflite: is no table of layers \(.csv\); load a model first"):
        hwsim.estimate("net.tflite", "systolic")


def test_five_hundred_layers_are_not_slow(tmp_path):
    """The house asks for 0.3 s; ten times that fails only where something is badly wrong."""
    path = tmp_path / "long.csv"
    path.write_text("\n".join([HEADER, *("c,Conv2D,16,16,16,16,16,16,3,3,1,1,,",) * 500]))
    network = read_layer_table(path)
    for name in names():
        start = time.process_time()
        estimate(network, name)
        assert time.process_time() - start < 3
