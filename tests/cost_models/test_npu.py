import numpy as np
import pytest

from hwsim.cost_models import estimate
from hwsim.cost_models._npu_blocks import Layer, best_block
from hwsim.cost_models.measurements import read_measurements, shipped_network
from hwsim.targets import MEASUREMENTS, target

# Printed by find_block_config of ethos-u-vela 5.2.0: MACs, kind, input, output, kernel, stride, block of outputs,
# block of inputs, whether taps fill the multipliers.
VELA_BLOCKS = [
    (128, "depthwise", (24, 24, 32), (24, 24, 32), 3, 1, (7, 12, 16), (9, 14, 16), False),
    (128, "depthwise", (6, 6, 128), (6, 6, 128), 3, 1, (2, 6, 80), (4, 8, 80), False),
    (128, "conv", (96, 96, 3), (48, 48, 8), 3, 2, (8, 16, 8), (17, 34, 8), True),
    (128, "depthwise", (12, 12, 64), (12, 12, 64), 3, 1, (7, 12, 16), (9, 14, 16), False),
    (128, "conv", (6, 6, 128), (6, 6, 128), 1, 1, (6, 6, 48), (6, 6, 32), False),
    (128, "conv", (32, 32, 16), (32, 32, 16), 3, 1, (5, 16, 16), (7, 18, 16), True),
    (128, "pooling", (3, 3, 256), (1, 1, 256), 3, 3, (1, 2, 128), (3, 6, 128), False),
    (128, "depthwise", (14, 14, 384), (14, 14, 384), 3, 1, (6, 14, 16), (8, 16, 16), False),
    (128, "conv", (8, 8, 64), (8, 8, 64), 3, 1, (8, 8, 16), (10, 10, 32), False),
    (128, "conv", (28, 28, 32), (28, 28, 192), 1, 1, (3, 14, 48), (3, 14, 32), False),
    (256, "depthwise", (24, 24, 32), (24, 24, 32), 3, 1, (14, 14, 16), (16, 16, 16), False),
    (256, "depthwise", (6, 6, 128), (6, 6, 128), 3, 1, (6, 6, 48), (8, 8, 48), False),
    (256, "conv", (96, 96, 3), (48, 48, 8), 3, 2, (16, 16, 8), (34, 34, 8), True),
    (256, "depthwise", (12, 12, 64), (12, 12, 64), 3, 1, (12, 12, 16), (14, 14, 16), False),
    (256, "conv", (6, 6, 128), (6, 6, 128), 1, 1, (6, 6, 64), (6, 6, 32), False),
    (256, "conv", (32, 32, 16), (32, 32, 16), 3, 1, (12, 16, 16), (14, 18, 16), True),
    (256, "pooling", (3, 3, 256), (1, 1, 256), 3, 3, (2, 2, 128), (6, 6, 128), False),
    (256, "depthwise", (14, 14, 384), (14, 14, 384), 3, 1, (14, 14, 16), (16, 16, 16), False),
    (256, "conv", (8, 8, 64), (8, 8, 64), 3, 1, (8, 8, 64), (10, 10, 32), False),
    (256, "conv", (28, 28, 32), (28, 28, 192), 1, 1, (2, 28, 64), (2, 28, 32), False),
]


@pytest.mark.parametrize(
    ("macs", "kind", "size_in", "size_out", "kernel", "stride", "outputs", "inputs", "taps"), VELA_BLOCKS
)
def test_block_equals_vela(macs, kind, size_in, size_out, kernel, stride, outputs, inputs, taps):
    layer = Layer(kind, size_in, size_out, (kernel, kernel), (stride, stride))
    block = best_block(target(f"ethos-u55-{macs}").profile.npu, layer)
    assert (block.outputs, block.inputs, block.by_taps) == (outputs, inputs, taps)


def test_cycles_are_near_vela():
    rows = read_measurements(MEASUREMENTS / "ethos_u_vela.csv")
    ratios = [
        estimate(shipped_network(row.network), row.target, settings=dict(row.settings)).latency_s / row.latency_s
        for row in rows
    ]
    assert len(ratios) == 8
    assert np.abs(np.array(ratios) - 1).max() < 0.05


def test_smaller_weights_wait_less_for_flash():
    net = shipped_network("mlperf_tiny_autoencoder")
    half, whole = (estimate(net, "ethos-u55-128", settings={"npu.weight_compression": c}).cycles for c in (0.5, 1.0))
    assert half < 0.6 * whole


def test_slower_system_takes_longer():
    net = shipped_network("mlperf_tiny_resnet8")
    assert estimate(net, "ethos-u55-256@deep-embedded").latency_s > 2.5 * estimate(net, "ethos-u55-256").latency_s


def test_nothing_was_measured_so_there_is_no_band():
    assert target("ethos-u55-128").profile.bands.latency is None
