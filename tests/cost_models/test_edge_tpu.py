import numpy as np
import pytest

from hwsim.cost_models import Work, estimate
from hwsim.cost_models.measurements import read_measurements, shipped_network
from hwsim.cost_models.work import chain
from hwsim.errors import UnsupportedError
from hwsim.targets import MEASUREMENTS, target

PLAIN = {
    "clock_hz": 1e6, "array.activation_bytes_per_cycle": 10, "array.layer_cycles": 5, "host.start_s": 1e-3,
    "host.link_bytes_per_s": 1e6, "host.element_s": 1e-6, "memories.sram.size_bytes": 5000,
}  # fmt: skip


def conv(name="conv", channels=64, filters=64, op="conv2d"):
    return Work(
        name, op, (10, 10, channels), (10, 10, filters), macs=100 * channels * filters, weights=channels * filters
    )


def cycles(*works):
    return [layer.cost.cycles for layer in estimate(chain("net", works), "coral-edgetpu", settings=PLAIN).layers]


def test_layer_takes_tiles_and_activations():
    # 100 positions, one tile of 64 by 64 each; 6400 bytes in, 6400 out at 10 a cycle; 1000 to start, 12800 on the link.
    assert cycles(conv()) == [100 + 1280 + 5 + 1000 + 12800]


def test_taps_and_filters_round_up_to_tiles():
    (one,), (more,) = cycles(conv(filters=64)), cycles(conv(filters=65))
    assert more - one == 100 + 10 + 100  # another tile, outputs from the units, outputs on the link


def test_weights_beyond_the_cache_come_over_the_link():
    # 4096 bytes are cached, of the second layer 904, of the third none: 3192 and 4096 bytes at one a cycle.
    assert cycles(conv(), conv(), conv())[1] == 3192 + 5
    assert cycles(conv(), conv(), conv(), conv())[2] == 4096 + 5


def test_padding_and_activation_are_part_of_a_neighbor():
    pad = Work("pad", "pad", (10, 10, 64), (12, 12, 64))
    assert cycles(conv(), pad, conv())[1] == 0


def test_host_runs_what_the_chip_lacks():
    boxes = Work("boxes", "detection_postprocess", (1, 100, 91), (1, 10, 6))
    assert cycles(conv(), boxes, conv())[1] == 9100


def test_shipped_constants_fit_what_they_were_fitted_to():
    rows = read_measurements(MEASUREMENTS / "edge_tpu.csv")
    errors = [abs(estimate(shipped_network(row.network), row.target).latency_s / row.latency_s - 1) for row in rows]
    assert len(errors) == 34
    assert np.median(errors) < 0.05
    assert max(errors) < 0.25


def test_band_is_that_of_unseen_networks():
    band = target("coral-edgetpu").profile.bands.latency
    assert band is not None
    assert band.median_error < 0.12


def test_slower_link_costs_large_networks_most():
    fast, slow = (
        [estimate(shipped_network(n), t).latency_s for n in ("mobilenet_v2_1.0_224", "vgg16_224")]
        for t in ("coral-edgetpu", "coral-edgetpu@usb2")
    )
    assert slow[0] / fast[0] == pytest.approx(2.2, rel=0.2)
    assert slow[1] / fast[1] > 8


def test_narrow_weights_take_a_byte_all_the_same():
    narrow = Work("conv", "conv2d", (10, 10, 64), (10, 10, 64), macs=409600, weights=4096, weight_bits=4)
    assert cycles(narrow, narrow, narrow) == cycles(conv(), conv(), conv())


def test_wide_operands_are_refused():
    sizes = {"macs": 409600, "weights": 4096, "activation_bits": 16}
    wide = Work("conv", "conv2d", (10, 10, 64), (10, 10, 64), **sizes)
    widths = "weights of 8 and activations of 16 bits"
    message = rf"^'conv' has {widths}; coral-edgetpu computes 8 by 8; quantize the network first$"
    with pytest.raises(UnsupportedError, match=message):
        cycles(wide)
