"""Layers whose runs of weights have integer multipliers, against sums run by run in plain Python integers."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

import hwsim
from hwsim.cost_models import estimate, network_of
from hwsim.cost_models.work import Table
from hwsim.errors import ModelFormatError, UnsupportedError
from hwsim.graph import Affine, Grouped
from hwsim.graph.file import read, save
from hwsim.simulate.accumulators import accumulators
from tests.build import codes, constant, single, tensor
from tests.graph.test_stored_formats import damaged

SIZE, BITS = 4, 4
SCALES = np.array([0.02, 0.01, 0.03], np.float32)


def layer(op="conv2d"):
    """A layer of 3 channels, 18 weights each: runs of 4, the last of 2; and its parts."""
    g = np.random.default_rng(8)
    shape = (3, 3, 2, 3) if op == "conv2d" else (3, 18)
    weights, multipliers = g.integers(-7, 8, shape), g.integers(1, 16, (3, 5)).astype(np.uint8)
    form = Grouped(SCALES, multipliers, SIZE, BITS, 0)
    bias = g.integers(-300, 300, 3)
    stored = replace(tensor("w", shape, data=weights), format=form)
    x = tensor("x", (1, 5, 4, 3) if op == "conv2d" else (1, 18), zero_point=-3)
    y = tensor("y", (1, 3, 3, 3) if op == "conv2d" else (1, 3), scale=0.5, zero_point=2)
    options = {"padding": "valid", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1}
    graph = single(op, [x, stored, constant("b", bias)], y, activation="none", **(options if op == "conv2d" else {}))
    return graph, weights, multipliers, bias


def plain(graph, weights, multipliers):
    """The same layer with weights of 8 bits, each the product of its code and its run's multiplier."""
    rows = [[int(w) * int(m[k // SIZE]) for k, w in enumerate(row)]
            for row, m in zip(weights.reshape(3, -1).tolist(), multipliers, strict=True)]  # fmt: skip
    other = replace(graph.tensors[1], data=np.array(rows, np.int8).reshape(weights.shape),
                    format=Affine.per_channel(SCALES, 0))  # fmt: skip
    return replace(graph, tensors=(graph.tensors[0], other, *graph.tensors[2:]))


def sum_by_runs(values, row, multipliers, bias):
    """What hardware does: each run summed by itself, multiplied once, then added."""
    runs = [slice(start, start + SIZE) for start in range(0, 18, SIZE)]
    inner = [sum(v * w for v, w in zip(values[run], row[run], strict=True)) for run in runs]
    return bias + sum(int(m) * total for m, total in zip(multipliers, inner, strict=True))


@pytest.mark.parametrize("op", ["conv2d", "fully_connected"])
def test_sums_and_codes(op):
    graph, weights, multipliers, bias = layer(op)
    x = codes(np.random.default_rng(9), (4, *graph.tensors[0].shape[1:]))
    rows = weights.reshape(3, -1).tolist()
    places = product(range(3), range(3)) if op == "conv2d" else [None]
    patches = [(x[:, at[0] : at[0] + 3, at[1] : at[1] + 2] if at else x).reshape(4, -1) for at in places]
    (found,) = accumulators(graph, x, "dyadic")
    for channel in range(3):
        sums = [
            sum_by_runs([v + 3 for v in patch], rows[channel], multipliers[channel], int(bias[channel]))
            for patch in np.concatenate(patches).astype(int).tolist()
        ]
        assert (found.total.lows[channel], found.total.highs[channel]) == (min(sums), max(sums))
    for engine in ("dyadic", "litert-reference", "tflite-micro", "litert-optimized", "gemmini"):
        ours, eight = (hwsim.simulate(g, x, engine).outputs[0] for g in (graph, plain(graph, weights, multipliers)))
        assert np.array_equal(ours, eight)


def test_products_beyond_the_kernels_are_refused():
    graph, *_ = layer()
    form = Grouped(SCALES, np.full((3, 5), 255, np.uint8), SIZE, BITS, 0)
    other = replace(graph.tensors[1], format=form)
    with pytest.raises(UnsupportedError, match="times their multipliers reach 1785; the kernels take up to 255"):
        hwsim.compile(replace(graph, tensors=(graph.tensors[0], other, *graph.tensors[2:])), "dyadic")


def test_files_hold_them_bit_for_bit(tmp_path):
    graph, *_ = layer()
    save(graph, tmp_path / "g.hwsim")
    data = (tmp_path / "g.hwsim").read_bytes()
    after = read(data)
    before, found = graph.tensors[1], after.tensors[1]
    assert found.format.same_as(before.format) and found.format.bits == 4
    assert found.data.tobytes() == before.data.tobytes() and found.data.dtype == np.int8
    save(after, tmp_path / "again.hwsim")
    assert (tmp_path / "again.hwsim").read_bytes() == data
    assert before.stored_bytes == 54 // 2 + 15


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 5}, r"has \[3, 5\] multipliers and 3 scales for 3 channels of 18 weights in runs of 5"),
        ({"size": 0}, "in runs of 0"),
        ({"axis": 2}, "channels"),
        ({"axis": None}, "channels of axis None"),
        ({"axis": 9}, "channels"),
        ({"bits": 1}, "int8 of 1 bits in groups; expected int8, 2 to 8 bits"),
        ({"kind": "group"}, "expected affine, levels or grouped"),
    ],
)
def test_damaged_files_are_refused(tmp_path, changes, message):
    graph, *_ = layer()
    alone = replace(graph, tensors=(graph.tensors[1],), nodes=(), inputs=(), outputs=())
    save(alone, tmp_path / "g.hwsim")
    with pytest.raises(ModelFormatError, match=message):
        read(damaged((tmp_path / "g.hwsim").read_bytes(), **changes))


def test_a_multiplier_of_zero_is_refused(tmp_path):
    graph, *_ = layer()
    form = replace(graph.tensors[1].format, multipliers=np.zeros((3, 5), np.uint8))
    with pytest.raises(ModelFormatError, match="has the multiplier 0; expected at least 1"):
        save(replace(graph, tensors=(graph.tensors[0], replace(graph.tensors[1], format=form), *graph.tensors[2:])),
             tmp_path / "g.hwsim")  # fmt: skip


def test_their_cost():
    """Codes and integers in flash; cores multiply codes once per run, other machines store the products."""
    graph, _, multipliers, _ = layer()
    network = network_of(graph)
    (work,) = network.works
    largest = 7 * int(multipliers.max())
    assert (work.weight_bits, work.weight_table) == (4, Table("grouped", largest.bit_length() + 1, 0, 15))
    assert network.flash_bytes == 54 // 2 + 15 + 12
    assert estimate(network, "cortex-m4").layers[0].cost.datapath == "unpack"
    assert estimate(network, "ethos-u55-128").flash_bytes == 54 + 12
