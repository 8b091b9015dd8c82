import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwsim.cost_models.cpu import instructions, kernel_of, loop_runs
from hwsim.cost_models.estimate import estimate
from hwsim.cost_models.loops import loops_of
from hwsim.cost_models.measurements import shipped_network
from hwsim.cost_models.work import Work, chain
from hwsim.errors import InputError
from hwsim.targets import target

ROOT = Path(__file__).resolve().parents[2]
CORES = ("cortex-m0plus", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "cortex-m85")
OPS = {"pointwise": "conv2d", "depthwise": "depthwise_conv2d", "average_pool": "average_pool_2d"}


def counted() -> list[dict[str, str]]:
    rows = csv.DictReader((ROOT / "scripts/instruction_counts/cortex_m.csv").read_text().splitlines())
    return [row for row in rows if row["weight_bits"] == row["activation_bits"] == "8"]


def work_of(row: dict[str, str]) -> Work:
    in_h, in_w, in_c, out_h, out_w, out_c, size, stride = (int(value) for value in list(row.values())[2:10])
    depthwise = row["kernel"] == "depthwise"
    weights = size * size * out_c * (1 if depthwise else in_c)
    weighted = row["kernel"] in ("conv2d", "pointwise", "depthwise", "fully_connected")
    op = OPS.get(row["kernel"], row["kernel"].replace("max_pool", "max_pool_2d"))
    return Work("w", op, (in_h, in_w, in_c), (out_h, out_w, out_c), (size, size), (stride, stride),
                in_c if depthwise else 1, weights * out_h * out_w if weighted else 0,
                weights if weighted else 0)  # fmt: skip


@pytest.mark.parametrize("isa", ["armv7m", "dsp", "mve", "thumb"])
def test_loops_give_the_instructions_that_were_counted(isa):
    rows = [row for row in counted() if row["isa"] == isa]
    rows = [row for row in rows if not (isa == "armv7m" and (row["kernel_size"] == "5" or row["source"] == "unicorn"))]
    ratio = [sum(instructions(work_of(row), "cmsis-nn", isa)[1].values()) / float(row["instructions"]) for row in rows]
    assert len(rows) > 20
    assert np.median(np.abs(np.array(ratio) - 1)) < 0.02
    assert 0.8 < min(ratio) <= max(ratio) < 1.2


def test_cycles_of_a_fully_connected_layer_by_hand():
    """Every instruction of the table times its latency, lines of weights times wait states, the start of a layer."""
    work = Work("fc", "fully_connected", (1, 1, 64), (1, 1, 10), macs=640, weights=640, bias_bytes=40)
    machine = target("cortex-m4").with_values({"memories.flash.wait_states": 5, "core.fetch_misses": 0.01})
    profile = machine.profile
    with (ROOT / "hwsim/targets/loops/cmsis-nn-dsp.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kernel"] == "fully_connected"]
    runs, library = {"mac": 640, "output": 10, "layer": 1}, profile.runtimes["tflm-cmsis-nn"]
    cycles, executed = 0.0, 0.0
    for row in rows:
        for name in ("alu", "load", "store", "multiply", "branch"):
            count = runs[row["per"]] * float(row[name]) * library.overall * library.fully_connected
            cycles, executed = cycles + count * profile.core.latency[name], executed + count
    expected = cycles / profile.core.issue + (executed * 0.01 + 680 / 16) * 5
    found = estimate(chain("n", (work,)), machine, "tflm-cmsis-nn").cycles
    assert found == pytest.approx(expected + library.layer_cycles, rel=1e-12)


@pytest.mark.parametrize(
    "size, out, taps, stride", [(9, 9, 3, 1), (16, 8, 3, 2), (12, 12, 5, 1), (6, 3, 3, 2), (3, 3, 3, 1)]
)
def test_taps_inside_the_image_are_those_that_a_walk_finds(size, out, taps, stride):
    before = max((out - 1) * stride + taps - size, 0) // 2
    found = sum(0 <= o * stride - before + t < size for o in range(out) for t in range(taps))
    work = Work("d", "depthwise_conv2d", (size, size, 4), (out, out, 4), (taps, taps), (stride, stride), 4,
                out * out * taps * taps * 4, taps * taps * 4)  # fmt: skip
    assert loop_runs(work)["inside"] == found * found * 4


def test_kernel_of_tells_convolutions_apart():
    conv = Work("c", "conv2d", (8, 8, 16), (8, 8, 16), macs=16384, weights=256)
    assert kernel_of(conv) == "pointwise"
    assert kernel_of(replace(conv, stride=(2, 2))) == "conv2d"
    assert kernel_of(replace(conv, kernel=(3, 3))) == "conv2d"
    assert kernel_of(replace(conv, groups=16)) == "depthwise"
    assert kernel_of(replace(conv, op="logistic")) == "elementwise"


def test_four_bit_weights_cost_their_unpacking():
    """Without instructions for 4 bits, unpacking takes longer than reading bytes."""
    conv = Work("c", "conv2d", (8, 8, 64), (8, 8, 64), (3, 3), (1, 1), 1, 64 * 64 * 576, 64 * 576)
    eight = sum(instructions(conv, "cmsis-nn", "dsp")[1].values())
    four = sum(instructions(replace(conv, weight_bits=4), "cmsis-nn", "dsp")[1].values())
    assert 1.5 < four / eight < 2.5


@pytest.mark.parametrize("core", CORES)
def test_slower_memory_and_more_work_take_longer(core):
    network = shipped_network("mlperf_tiny_ds_cnn")
    plain = estimate(network, core).cycles
    slow = target(core).with_values({"memories.flash.wait_states": 20})
    assert estimate(network, slow).cycles > plain
    bigger = replace(network, works=tuple(replace(w, macs=2 * w.macs) for w in network.works))
    assert estimate(bigger, core).cycles > plain


def test_instruction_sets_rank_as_they_should():
    """Cycles of one network: M0+ above M4 above M33 above M7, and Helium far below all."""
    network = shipped_network("mlperf_tiny_resnet8")
    cycles = [estimate(network, core).cycles for core in ("cortex-m0plus", "cortex-m4", "cortex-m33", "cortex-m7")]
    assert cycles == sorted(cycles, reverse=True)
    assert estimate(network, "cortex-m55").cycles < cycles[-1] / 2


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33"])
def test_held_out_errors_are_those_of_a_model(core):
    """Rows of boards that the fit did not see; written by hwsim fit."""
    band = target(core).profile.bands.latency
    assert band is not None
    assert band.rows >= 30
    assert band.median_error < 0.12


def test_dead_channels_of_the_vww_network():
    """About 3.74 of its 7.49 million multiply-accumulates count (measured runtimes take half the time)."""
    network = shipped_network("mlperf_tiny_mobilenet_vww")
    assert network.macs == 7_489_664
    assert sum(work.without_dead().macs for work in network.works) == 3_733_541
    assert estimate(network, "cortex-m7", "x-cube-ai").network.macs == network.macs


def test_loop_table_that_does_not_exist_names_those_that_do():
    with pytest.raises(InputError, match=r"^unknown loop table 'cmsis-nn-dsq'; did you mean 'cmsis-nn-dsp'\?"):
        loops_of("cmsis-nn", "dsq")


@pytest.mark.parametrize("built, keras", [("mobilenet_v1_0.25_224_flowers", "mobilenet_v1_0.25_224"),
                                          ("mobilenet_v2_0.35_128_flowers", "mobilenet_v2_0.35_128"),
                                          ("mobilenet_v2_0.35_224_flowers", "mobilenet_v2_0.35_224")])  # fmt: skip
def test_tables_built_from_definitions_equal_those_read_off_keras(built, keras):
    """All convolutions alike; the classifiers have 5 and 1000 outputs."""

    def convolutions(name):
        works = shipped_network(name).works
        return [(w.op, w.output_size, w.macs) for w in works if "conv2d" in w.op and w.output_size[:2] != (1, 1)]

    assert convolutions(built) == convolutions(keras)
