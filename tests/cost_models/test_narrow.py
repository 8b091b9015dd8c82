"""Formats of weights on a processor core, by hand from the counted loops."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from hwsim.cost_models import Work, estimate
from hwsim.cost_models.cpu import instructions
from hwsim.cost_models.work import Table, chain
from hwsim.targets import target

LOOPS = Path(__file__).resolve().parents[2] / "hwsim/targets/loops"
MACHINE = target("cortex-m4").with_values({"memories.flash.wait_states": 0})
RUNTIME = "cmsis-nn-formats"
LCQ4, BINARY = Table("levels", 8, 7, 15), Table("binary", 2, 1, 2)
PRODUCT = Table("product", 8, 0, 144 * 32 * 2, vector=2, code_bits=4)
CLASSES = ("alu", "load", "store", "multiply", "branch")


def rows(name):
    with (LOOPS / f"{name}-dsp.csv").open() as file:
        return list(csv.DictReader(file))


FORMATS = {row["kernel"]: row for row in rows("formats")}


def work(**changes) -> Work:
    """A 3x3 convolution of 8x8 positions, 32 to 64 channels: 1179648 products of 18432 weights."""
    plain = Work("c", "conv2d", (8, 8, 32), (8, 8, 64), (3, 3), macs=64 * 288 * 64, weights=288 * 64, bias_bytes=256)
    return replace(plain, **changes)


def cycles_of(counted, factor):
    latency = MACHINE.profile.core.latency
    return factor * sum(float(row[name]) * times * latency[name] for row, times in counted for name in CLASSES)


def by_hand(products, extra, op="conv2d"):
    """The library's loops, the inner one replaced by `products`, and `extra` ones at how often they run."""
    runs = {"mac": 1179648, "output": 4096, "patch": 64 * 288, "tap": 64 * 9}
    library = [row for row in rows("cmsis-nn") if row["kernel"] == op]
    own = [(row, runs[row["per"]]) for row in library if row["per"] != "mac" or products is None]
    inner = [] if products is None else [(FORMATS[products[0]], products[1] * runs["mac"])]
    runtime = MACHINE.profile.runtimes[RUNTIME]
    counted = [*own, *inner, *((FORMATS[name], times) for name, times in extra)]
    return cycles_of(counted, runtime.overall * runtime.conv2d) + runtime.layer_cycles


@pytest.mark.parametrize(
    ("changes", "name", "expected"),
    [
        ({"weight_bits": 4}, "decode", (("w4", 1), [])),
        ({"weight_bits": 2}, "decode", (("w2", 1), [])),
        ({"weight_bits": 3}, "unpack", (None, [("unpack3", 18432)])),
        ({"weight_bits": 6}, "unpack", (None, [("unpack", 18432)])),
        ({"weight_bits": 4, "weight_table": LCQ4}, "unpack", (None, [("look4", 18432)])),
        ({"weight_bits": 7, "weight_table": LCQ4}, "unpack", (None, [("look", 18432)])),
        ({"weight_bits": 4, "weight_table": PRODUCT}, "unpack", (None, [("look_product", 2 * 18432)])),
        ({"weight_bits": 1, "weight_table": BINARY}, "bit_serial",
         (("bit_serial", 1), [("bit_serial_tables", 64 * 288)])),
        ({"weight_bits": 1, "weight_table": BINARY, "activation_bits": 1}, "xnor",
         (("xnor", 1), [("xnor_planes", 64 * 288 / 8)])),
    ],
)  # fmt: skip
def test_a_layer_takes_the_quickest_way(changes, name, expected):
    found = estimate(chain("n", (work(**changes),)), MACHINE, RUNTIME).layers[0].cost
    assert found.datapath == name
    assert found.cycles == pytest.approx(by_hand(*expected), rel=1e-9)


def test_unpacked_weights_take_room_and_are_read_once():
    machine = MACHINE.with_values({"memories.sram.size_bytes": 18432 + 2048 + 4096})
    network = chain("n", (work(weight_bits=4, weight_table=LCQ4),))
    found = estimate(network, machine, RUNTIME)
    assert found.layers[0].cost.traffic_bytes["flash"] == (18432 / 2 + 15 + 256, 0.0)
    assert found.peak_sram_bytes == 2048 + 4096 + 18432
    tight = machine.with_values({"memories.sram.size_bytes": 18432 + 2048 + 4095})
    found = estimate(network, tight, RUNTIME)
    assert found.layers[0].cost.datapath == "decode"
    assert found.layers[0].cost.cycles == pytest.approx(by_hand(("t4", 1), []), rel=1e-9)
    assert found.peak_sram_bytes == 2048 + 4096


def test_layers_without_positions_to_share_unpack():
    for op, kernel in (("fully_connected", "fully_connected"), ("depthwise_conv2d", "depthwise")):
        groups = 64 if op == "depthwise_conv2d" else 1
        layer = Work("d", op, (1, 1, 64), (1, 1, 64), (1, 1), groups=groups, macs=64, weights=64, weight_bits=2)
        assert estimate(chain("n", (layer,)), MACHINE, RUNTIME).layers[0].cost.datapath == "unpack"
        assert instructions(layer, "cmsis-nn", "dsp")[0] == kernel


def test_libraries_keep_their_own_kernel_of_four_bits():
    """CMSIS-NN's takes 2.1 times the instructions of its 8-bit one; only the runtime that says so takes another."""
    network = chain("n", (work(weight_bits=4),))
    library, own = (estimate(network, MACHINE, name).layers[0].cost for name in ("tflm-cmsis-nn", RUNTIME))
    assert library.datapath == "multiply"
    assert library.cycles > 1.5 * own.cycles


def test_the_counted_loop_of_eight_bits_is_the_library_s():
    """The same loop nest: instructions per product within 15 % of those counted in CMSIS-NN's own kernel."""
    (library,) = (row for row in rows("cmsis-nn") if (row["kernel"], row["per"]) == ("conv2d", "mac"))
    own, theirs = (sum(float(row[name]) for name in CLASSES) for row in (FORMATS["w8"], library))
    assert 0.85 < own / theirs < 1.15


def test_cores_without_counted_loops_store_levels():
    network = chain("n", (work(weight_bits=4, weight_table=LCQ4),))
    assert estimate(network, "cortex-m0plus").flash_bytes == 18432 + 256


def test_sums_made_first_take_room():
    """Signs by bit-serial sums: 16 of 2 bytes for every 4 of 288 inputs, at two positions."""
    network = chain("n", (work(weight_bits=1, weight_table=BINARY),))
    found = estimate(network, MACHINE, RUNTIME)
    assert found.layers[0].cost.scratch_bytes == 2 * 288 // 4 * 16 * 2
    tight = MACHINE.with_values({"memories.sram.size_bytes": 2048 + 4096 + 4607})
    assert estimate(network, tight, RUNTIME).layers[0].cost.datapath == "decode"
