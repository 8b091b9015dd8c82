"""Formats of weights on machines with and without a datapath for them, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from hwsim.cost_models import Work, estimate, network_of
from hwsim.cost_models.datapaths import DATAPATHS, deployed, steps
from hwsim.cost_models.formats import in_format
from hwsim.cost_models.work import Table, chain
from hwsim.errors import InputError
from hwsim.graph import Affine, Levels
from hwsim.targets import names, target
from tests.build import single, tensor

LCQ4 = Table("levels", 8, 7, 15)
PRODUCT = Table("product", 8, 0, 0, vector=2, code_bits=4)
TERNARY = Table("ternary", 2, 1, 3)
BINARY = Table("binary", 2, 1, 2)


def work(**changes) -> Work:
    """A 3x3 convolution of 8x8 positions, 32 to 64 channels: 1179648 products of 18432 weights."""
    plain = Work("c", "conv2d", (8, 8, 32), (8, 8, 64), (3, 3), macs=64 * 288 * 64, weights=288 * 64, bias_bytes=256)
    return replace(plain, **changes)


@pytest.mark.parametrize(
    ("datapath", "changes", "expected"),
    [
        ("multiply", {}, (1179648, 0, 0)),
        ("lut", {"weight_bits": 4, "weight_table": LCQ4, "activation_bits": 4, "activation_table": LCQ4},
         (1179648, 256 * 2, 2)),
        ("lut", {"weight_bits": 2, "activation_bits": 2}, (1179648, 16, 1)),
        ("codebook", {"weight_bits": 2, "weight_table": LCQ4}, (1179648 + 4 * 4096, 16, 8)),
        ("shift_add", {"weight_table": replace(LCQ4, terms=2)}, (2 * 1179648, 0, 0)),
        ("shift_add", {}, None),
        ("bit_serial", {"weight_bits": 3}, (1179648 / 4 * 3 + 64 * 288 / 4 * 16, 32, 2)),
        ("bit_serial", {"weight_bits": 2, "weight_table": TERNARY}, (1179648 / 4 * 2 + 64 * 288 / 4 * 16, 32, 2)),
        ("bit_serial", {"weight_table": LCQ4}, None),
        ("xnor", {"weight_bits": 1, "weight_table": BINARY}, (1179648 / 64 * 8, 0, 0)),
        ("xnor", {"weight_bits": 2, "weight_table": TERNARY}, None),
        ("ternary", {"weight_bits": 2, "weight_table": TERNARY}, (1179648, 0, 0)),
        ("ternary", {}, None),
        ("product", {"weight_bits": 4, "weight_table": PRODUCT}, (1179648 / 2 * 2 + 64 * 288 * 16 * 2, 64, 4)),
        ("product", {"weight_bits": 2, "weight_table": PRODUCT}, (1179648 / 2 + 64 * 288 * 16, 64, 4)),
        ("product", {"weight_bits": 4, "weight_table": LCQ4}, None),
        ("bit_serial", {"weight_bits": 4, "weight_table": PRODUCT}, None),
        ("lut", {"weight_bits": 4, "weight_table": PRODUCT}, None),
        ("codebook", {"weight_bits": 4, "weight_table": PRODUCT}, None),
    ],
)  # fmt: skip
def test_steps_by_hand(datapath, changes, expected):
    found = steps(work(**changes), datapath)
    assert (found and (found.count, found.table_bytes, found.touched_bytes)) == expected


def test_a_layer_without_products_has_no_steps():
    for datapath in DATAPATHS:
        assert steps(Work("a", "add", (4, 4, 4), (4, 4, 4)), datapath) is None
    with pytest.raises(InputError, match=r"^unknown datapath 'luts'; did you mean 'lut'\?"):
        steps(work(), "luts")


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ([-1, 1], ("binary", 2, 1, 2)),
        ([-1, 0, 1], ("ternary", 2, 1, 3)),
        ([0, 1], ("levels", 1, 1, 2)),
        ([-127, -90, 0, 90, 127], ("levels", 8, 7, 5)),
        ([0, 1, 2, 4, 12], ("levels", 4, 2, 5)),
        ([-128, 0], ("levels", 8, 1, 2)),
        ([-129, 0], ("levels", 9, 2, 4)),
    ],
)
def test_tables_by_hand(levels, expected):
    found = Table.of(Levels(np.array([levels], np.int32), np.ones(1, np.float32), 3))
    assert (found.kind, found.bits, found.terms, found.size_bytes) == expected


def test_work_of_a_graph_names_its_tables():
    form = Levels(np.array([[-90, -7, 0, 60]], np.int32), np.ones(1, np.float32), 2)
    codes = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
    weights = replace(tensor("w", (3, 4), "uint8", data=codes), format=form)
    inputs = replace(tensor("x", (1, 4), "uint8"), format=form)
    network = network_of(single("fully_connected", [inputs, weights, None], tensor("y", (1, 3))))
    (found,) = network.works
    assert found.weight_table == found.activation_table == Table("levels", 8, 4, 4)
    assert (found.weight_bits, found.activation_bits, found.multiplied_bits) == (2, 2, (8, 8))
    assert found.weight_bytes == network.flash_bytes == 12 * 2 / 8 + 4


def test_a_machine_without_a_decoder_stores_levels():
    """The Edge TPU: bytes, whatever the format, and the flash says so."""
    network = chain("n", (work(weight_bits=4, weight_table=LCQ4),))
    assert network.flash_bytes == 18432 // 2 + 15 + 256
    found = deployed(network, target("coral-edgetpu").profile)
    assert found.works == (work(),)
    assert found.flash_bytes == 18432 + 256
    uniform = estimate(chain("n", (work(weight_bits=4),)), "coral-edgetpu")
    assert uniform.flash_bytes == 18432 + 256
    assert uniform.cycles == estimate(chain("n", (work(),)), "coral-edgetpu").cycles


def test_decoding_takes_the_time_and_energy_of_a_value_each():
    """GAP9's cores look up 2.67 values a cycle before the products; beside a memory's port it is hidden."""
    plain, coded = (chain("n", (work(**change),)) for change in ({}, {"weight_bits": 4, "weight_table": LCQ4}))
    for name, waits in (("gap9", 18432 / 2.67), ("systolic", 0.0)):
        a, b = (estimate(network, name).layers[0].cost for network in (plain, coded))
        assert b.compute_cycles == pytest.approx(a.compute_cycles + waits)
        assert b.decode_pj == pytest.approx(18432 * (0.22 if name == "systolic" else 0))
    slow = estimate(coded, "systolic", settings={"decoder.values_per_cycle": 1}).layers[0].cost
    assert slow.cycles == 18432


def test_tables_beyond_the_decoder_are_stored_as_levels():
    """Ethos-U's weight stream has a palette of 32."""
    profile = target("ethos-u55-128").profile
    for bits, packed in ((5, 5), (6, 8)):
        (found,) = deployed(chain("n", (work(weight_bits=bits, weight_table=LCQ4),)), profile).works
        assert found.weight_bits == packed and (found.weight_table is None) == (packed == 8)


def test_products_of_levels_cost_their_width():
    """Four-bit codes of eight-bit levels are multiplied at 8 by 8 bits: NE16 takes as long as for 8-bit codes."""
    codes, table, bytes_ = (
        estimate(chain("n", (work(**change),)), "gap9", settings={"decoder.values_per_cycle": 1e9}).layers[0].cost
        for change in ({"weight_bits": 4}, {"weight_bits": 4, "weight_table": LCQ4}, {})
    )
    assert codes.compute_cycles < bytes_.compute_cycles
    assert table.compute_cycles == bytes_.compute_cycles + 18432 / 1e9  # NE16's whole cycles, and the looking up
    assert table.traffic_bytes["l2"][0] == bytes_.traffic_bytes["l2"][0] - 18432 / 2 + 15


@pytest.mark.parametrize(
    ("changes", "datapath"),
    [
        ({}, "multiply"),
        ({"weight_bits": 4}, "multiply"),
        ({"weight_bits": 2}, "bit_serial"),
        ({"weight_bits": 4, "weight_table": LCQ4}, "multiply"),
        ({"weight_bits": 3, "weight_table": Table("levels", 4, 1, 7)}, "shift_add"),
        ({"weight_bits": 2, "weight_table": TERNARY}, "bit_serial"),
        ({"weight_bits": 1, "weight_table": BINARY}, "xnor"),
        ({"weight_bits": 2, "weight_table": LCQ4, "activation_bits": 2, "activation_table": LCQ4}, "lut"),
        ({"weight_bits": 4, "weight_table": LCQ4, "activation_bits": 4, "activation_table": LCQ4}, "multiply"),
    ],
)
def test_the_illustration_takes_what_is_sooner_done_or_cheaper(changes, datapath):
    """Product tables pay at 2 by 2 bits, where 32 bytes are read for less than a multiply; not at 4 by 4."""
    cost = estimate(chain("n", (work(**changes),)), "lut-npu").layers[0].cost
    assert cost.datapath == datapath
    multiply = estimate(chain("n", (work(**changes),)), "systolic", settings={"array.rows": 16, "array.cols": 16})
    assert cost.compute_cycles <= multiply.layers[0].cost.compute_cycles


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("form", ["8", "4", "1", "lcq4", "codebook2", "pot3", "apot4", "ternary", "binary", "product4"])
def test_every_target_prices_every_format(name, form):
    network = in_format(chain("n", (work(), work(), work())), form)
    assert [w.weight_bits for w in network.works][::2] == [8, 8]
    found = estimate(network, name)
    assert found.latency_s > 0 and found.flash_bytes <= 3 * (18432 + 256)
    assert found.energy_j is None or found.energy_j > 0


@pytest.mark.parametrize(
    ("form", "size_bytes"),
    [("8", 18432), ("3", 6912), ("lcq4", 9216 + 15), ("codebook2", 4608 + 4), ("pot3", 6912 + 7), ("apot4", 9216 + 15),
     ("ternary", 4608 + 3), ("binary", 2304 + 2), ("product2", 4608 + 144 * 32), ("product8", 18432 + 4 * 144 * 32)],
)  # fmt: skip
def test_flash_of_formats(form, size_bytes):
    network = in_format(chain("n", (work(), work(), work())), form)
    assert network.flash_bytes == 2 * 18432 + size_bytes + 3 * 256


def test_three_levels_are_ternary_whatever_their_name():
    tables = [in_format(chain("n", (work(),) * 3), form).works[1].weight_table for form in ("lcq2", "pot2", "apot2")]
    assert tables == [Table("ternary", 2, 1, 3)] * 3


def test_formats_that_do_not_exist_are_named():
    network = chain("n", (work(),))
    with pytest.raises(InputError, match=r"^weight format 'pot5' has 5 bits; pot takes 2 to 4$"):
        in_format(network, "pot5")
    with pytest.raises(InputError, match=r"^unknown weight format 'lqc4'; did you mean 'lcq4'\?"):
        in_format(network, "lqc4")
    with pytest.raises(InputError, match=r"^weight format 'product3' has 3 bits; product takes an even number$"):
        in_format(network, "product3")


def test_narrow_codes_of_a_graph_count_packed():
    weights = tensor("w", (3, 7), data=np.ones((3, 7)))
    form = weights.format
    assert isinstance(form, Affine)
    network = network_of(
        single("fully_connected", [tensor("x", (1, 7)), replace(weights, format=replace(form, bits=3)), None],
               tensor("y", (1, 3)))
    )  # fmt: skip
    assert network.flash_bytes == 8


def test_vectors_of_product_quantization_by_their_own_units_or_looked_up():
    """2 bits: sums of 16 vectors are made for 288 inputs of each position and read for half of the products."""
    network = chain("n", (work(weight_bits=2, weight_table=replace(PRODUCT, size_bytes=4608)),))
    multiply = {f"datapaths.{name}.steps_per_cycle": 1e-9 for name in DATAPATHS[1:]}
    units, decoder = (estimate(network, "lut-npu", settings=values) for values in ({}, multiply))
    made = 64 * 288 * 16
    assert units.layers[0].cost.datapath == "product"
    assert units.layers[0].cost.compute_cycles == pytest.approx(
        decoder.layers[0].cost.compute_cycles * (1179648 / 2 + made) / 1179648
    )
    assert decoder.layers[0].cost.datapath == "multiply"
    assert decoder.layers[0].cost.decode_pj == pytest.approx(18432 / 2 * 0.22)
    cores = estimate(network, "gap9").layers[0].cost
    plain = estimate(chain("n", (work(),)), "gap9").layers[0].cost
    assert cores.compute_cycles == pytest.approx(plain.compute_cycles + 18432 / 2 / 2.67)
    assert estimate(network, "ethos-u55-128").flash_bytes == 18432 + 256
