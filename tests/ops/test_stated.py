"""Nodes that state multipliers and limits in integers: who takes them, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.errors import GraphError, UnsupportedError
from hwsim.importers.tflite_writer import to_tflite
from tests.naive import double_rounding, float32
from tests.random_graphs import MAKERS, inputs_for

STATED = {"output_multiplier": (1600000000,), "output_shift": (-6,)}


def stating(op, **options):
    graph = MAKERS[op](np.random.default_rng(3), "int8")
    node = graph.nodes[0]
    return replace(graph, nodes=(replace(node, attributes={**node.attributes, **options}),))


@pytest.mark.parametrize("engine", ["tflite-micro", "cmsis-nn", "xnnpack"])
def test_a_layer_follows_what_it_states_and_not_its_scales(engine):
    graph = stating("fully_connected", **STATED, output_minimum=-100, output_maximum=90)
    x = inputs_for(graph, 2)[0]
    source, weights, *bias, y = graph.tensors
    sums = (x.astype(int) - source.zero_point) @ weights.data.astype(int).T + (bias[0].data if bias else 0)
    real = np.float32(1600000000 * 2.0**-37)
    for total, code in zip(sums.reshape(-1), hwsim.simulate(graph, x, engine).outputs[0].reshape(-1), strict=True):
        once = float32(int(total), float(real))
        wanted = once if engine == "xnnpack" else double_rounding(int(total), 1600000000, -6)
        assert code == np.clip(wanted + y.zero_point, -100, 90)


@pytest.mark.parametrize(("op", "engine", "message"), [
    ("logistic", "tflite-micro", "states 'output_multiplier', which this operator does not take$"),
    ("add", "xnnpack", "states 'output_multiplier'; this engine's arithmetic follows from scales alone$"),
    ("add", "cmsis-nn", "states 'output_multiplier'; this engine's arithmetic follows from scales alone$"),
    ("mul", "dyadic", "states 'output_multiplier'; this engine's arithmetic follows from scales alone$"),
])  # fmt: skip
def test_what_would_be_left_aside_is_refused(op, engine, message):
    with pytest.raises(UnsupportedError, match=message):
        hwsim.compile(stating(op, **STATED), engine)


@pytest.mark.parametrize(("options", "message"), [
    ({"output_multiplier": (1 << 30,)}, r"option 'output_shift' is None; expected a tuple of 1 or \d+ integers$"),
    ({**STATED, "output_multiplier": (3,)}, r"output_multiplier is 3; expected 0 or 2\^30 to 2\^31 - 1"),
    ({**STATED, "output_shift": (31,)}, "output_shift is 31; expected -31 to 30$"),
    ({"output_minimum": 5, "output_maximum": 4}, r"output codes are limited to 5..4; expected limits within"),
])  # fmt: skip
def test_numbers_out_of_range_are_refused(options, message):
    with pytest.raises(GraphError, match=message):
        hwsim.compile(stating("conv2d", **options), "cmsis-nn")


def test_a_tflite_file_has_no_place_for_them_and_hwsims_own_has(tmp_path):
    graph = stating("conv2d", **STATED, output_minimum=-7)
    with pytest.raises(UnsupportedError, match=r"option 'output_\w+' has no place in a .tflite file"):
        to_tflite(graph)
    graph.save(tmp_path / "g.hwsim")
    x = inputs_for(graph, 1)
    again = hwsim.load(tmp_path / "g.hwsim")
    got, wanted = (hwsim.simulate(g, x, "cmsis-nn").outputs[0] for g in (again, graph))
    np.testing.assert_array_equal(got, wanted)
