import numpy as np
import pytest

from hwsim.cost_models import Work, estimate
from hwsim.cost_models.measurements import read_measurements, shipped_network
from hwsim.cost_models.work import chain
from hwsim.targets import MEASUREMENTS

PLAIN = {
    "clock_hz": 1e6, "gpu.multiprocessors": 2, "gpu.macs_per_cycle": 64, "gpu.tile_rows": 8, "gpu.tile_cols": 8,
    "kernels.utilization": 0.5, "kernels.fixed_share": 0.25, "memories.dram.bytes_per_cycle": 16,
}  # fmt: skip


def conv(bits=8, size=(10, 10), stride=1, channels=32):
    positions = (size[0] // stride, size[1] // stride)
    macs = positions[0] * positions[1] * channels * 16
    return Work(
        "conv", "conv2d", (*size, channels), (*positions, 16), (1, 1), (stride, stride), 1, macs, channels * 16,
        bits, bits,
    )  # fmt: skip


def costs(work):
    return estimate(chain("net", (work,)), "nvidia-t4", "tvm", settings=PLAIN).layers[0].cost


def test_products_round_up_to_tiles():
    # 13 by 2 tiles on 2 multiprocessors: 13 waves of 8 * 8 * 32 products at 64 a cycle, half used.
    assert costs(conv()).compute_cycles == 13 * 32 / 0.5


def test_narrow_operands_keep_the_fixed_share():
    assert costs(conv(4)).compute_cycles == 13 * 32 / 0.5 * (0.25 + 0.75 / 2)


def test_depth_rounds_up_to_an_instruction():
    # 16 products of 8 bits, 32 of 4.
    assert costs(conv(8, channels=24)).compute_cycles == costs(conv(8)).compute_cycles
    assert costs(conv(4, channels=8)).compute_cycles == costs(conv(4)).compute_cycles


def test_outputs_leave_as_words_of_four_bytes():
    assert costs(conv()).memory_cycles == (3200 + 512 + 1600 * 4) / 16


def test_a_stride_skips_inputs():
    assert costs(conv(stride=2)).memory_cycles == (800 + 512 + 400 * 4) / 16


def test_ratio_of_four_and_eight_bits_is_near_the_measured():
    eight, four = (
        estimate(shipped_network(f"resnet50_v1_224_b8_{b}"), "nvidia-t4").latency_s for b in ("w8a8", "w4a4")
    )
    assert eight / four == pytest.approx(8.5 / 5.8, rel=0.05)


def test_whole_networks_are_near_the_measured():
    rows = [row for row in read_measurements(MEASUREMENTS / "gpu_t4.csv") if not row.layer]
    ratios = [estimate(shipped_network(row.network), row.target, row.runtime).latency_s / row.latency_s for row in rows]
    assert len(ratios) == 11
    assert np.abs(np.array(ratios) - 1).max() < 0.06


def test_three_bits_are_computed_as_four():
    assert costs(conv(3)).compute_cycles == costs(conv(4)).compute_cycles
