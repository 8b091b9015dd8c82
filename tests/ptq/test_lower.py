"""The way from a float graph to integers, against arithmetic written out here."""

from fractions import Fraction

import numpy as np
import pytest

import hwsim
from hwsim.errors import GraphError, InputError
from hwsim.graph import Affine, Levels
from hwsim.ptq.choose import Widths, choose, tensor_bits
from hwsim.ptq.lower import Coding, Weights, lower
from hwsim.ptq.observe import observe
from hwsim.ptq.ties import tied


def codes_of(graph, x):
    form = graph.tensors[graph.inputs[0]].affine
    low, high = (-(1 << ((form.bits or 8) - 1)), (1 << ((form.bits or 8) - 1)) - 1)
    return np.clip(np.rint(x / form.scale[0]) + form.zero_point[0], low, high).astype(np.int8)


def test_ties_follow_what_only_moves(network):
    same = tied(network)
    assert same[4] == same[3]
    assert same[9] == same[8]
    assert len({same[i] for i in (0, 3, 7, 8, 13, 14)}) == 6


def test_a_tensor_has_the_width_of_its_widest_reader(network):
    bits = tensor_bits(network, Widths(4, 4, sums=5, layers={2: (4, 6)}))
    assert (bits[0], bits[3], bits[4], bits[7], bits[9], bits[13], bits[14]) == (8, 6, 6, 5, 8, 8, 8)


def test_sums_keep_eight_bits(network):
    bits = tensor_bits(network, Widths(4, 4, layers={2: (4, 6)}))
    assert (bits[0], bits[3], bits[4], bits[7], bits[9], bits[13], bits[14]) == (8, 8, 8, 8, 8, 8, 8)


def test_eight_bits_are_close_to_float(network, samples, seen):
    integers = lower(network, choose(network, seen, Widths()))
    got = hwsim.simulate(integers, codes_of(integers, samples), "dyadic", keep_tensors=True).tensors["f"]
    real = hwsim.simulate(network, samples, "float", keep_tensors=True).tensors["f"]
    form = integers.tensor("f").affine
    error = (got.astype(float) - form.zero_point[0]) * form.scale[0] - real
    assert np.abs(error).mean() < 0.01 * np.abs(real).max()


def test_no_float_is_left_and_nothing_unused(network, seen):
    integers = lower(network, choose(network, seen, Widths(4, 4)))
    assert {t.dtype for t in integers.tensors} == {"int8", "int32"}
    assert [node.op for node in integers.nodes].count("quantize") == 1
    used = {i for n in integers.nodes for i in (*n.inputs, *n.outputs)} | set(integers.inputs)
    assert used == set(range(len(integers.tensors)))


@pytest.mark.parametrize("bits", [2, 3, 4, 5])
def test_narrow_codes_stay_narrow_under_every_operator(network, samples, seen, bits):
    integers = lower(network, choose(network, seen, Widths(bits, bits, ends=bits, sums=bits)))
    run = hwsim.simulate(integers, codes_of(integers, samples), "dyadic", keep_tensors=True)
    narrow = [t for t in integers.tensors if t.data is None and t.affine.bits]
    assert {"x", "a", "p", "c", "s", "r"} == {t.name for t in narrow}
    for tensor in narrow:
        assert run.tensors[tensor.name].min() >= -(1 << (bits - 1))
        assert run.tensors[tensor.name].max() < 1 << (bits - 1)


def test_a_layer_is_what_its_formats_say(network, samples, seen):
    """The last layer in exact fractions: sums of codes, the bias at their scale, one rounding up at ties."""
    coding = choose(network, seen, Widths(4, 4))
    integers = lower(network, coding)
    run = hwsim.simulate(integers, codes_of(integers, samples), "dyadic", keep_tensors=True)
    weights, data, out = coding.weights[5], coding.activations[9], coding.activations[13]
    for row, got in zip(run.tensors["r"][:8].tolist(), run.tensors["f"][:8].tolist(), strict=True):
        for channel in range(5):
            scale = float(data.scale[0]) * float(weights.format.scale[channel])
            bias = round(float(network.tensors[12].data[channel]) / scale)
            total = bias + sum(
                (x - int(data.zero_point[0])) * int(w) for x, w in zip(row, weights.codes[channel], strict=True)
            )
            ratio = np.float64(data.scale[0]) * np.float64(weights.format.scale[channel]) / np.float64(out.scale[0])
            fraction, exponent = np.frexp(ratio)
            dyadic = Fraction(round(fraction * 2**31)) * Fraction(2) ** (int(exponent) - 31)
            value = int((dyadic * total + Fraction(1, 2)) // 1) + int(out.zero_point[0])
            assert got[channel] == min(max(value, -128), 127)


def test_a_layer_that_reads_fewer_bits_gets_its_own_codes(network, samples, seen):
    """8 bits are shared by a sum and a layer of 4: QUANTIZE gives the layer the nearest of its 16 codes, ties up."""
    coding = choose(network, seen, Widths(4, 4))
    integers = lower(network, coding)
    run = hwsim.simulate(integers, codes_of(integers, samples), "dyadic", keep_tensors=True)
    wide, narrow = coding.activations[4], coding.inputs[2]
    assert (wide.bits, narrow.bits) == (None, 4)
    fraction, exponent = np.frexp(np.float64(wide.scale[0]) / np.float64(narrow.scale[0]))
    dyadic = Fraction(round(fraction * 2**31)) * Fraction(2) ** (int(exponent) - 31)
    for code, got in zip(run.tensors["p"].ravel().tolist(), run.tensors["p/read/2"].ravel().tolist(), strict=True):
        value = int((dyadic * (code - int(wide.zero_point[0])) + Fraction(1, 2)) // 1) + int(narrow.zero_point[0])
        assert got == min(max(value, -8), 7)


def test_levels_behind_a_table_multiply_as_their_values(network, samples, seen):
    """A layer with table codes gives what the same layer gives with the levels as plain weights."""
    coding = choose(network, seen, Widths())
    table = np.array([[-90, -31, -7, 0, 5, 17, 40, 111]], np.int32)
    codes = np.random.default_rng(3).integers(0, 8, (5, 96))
    scale = np.array([0.01], np.float32)
    behind = Weights(codes, Levels(table, scale, 3))
    plain = Weights(table[0][codes], Affine(scale, np.zeros(1, np.int64)))
    outputs = []
    for weights in (behind, plain):
        integers = lower(network, Coding(coding.activations, {**coding.weights, 5: weights}))
        outputs.append(hwsim.simulate(integers, codes_of(integers, samples), "dyadic").outputs[0])
    np.testing.assert_array_equal(*outputs)


def test_integers_survive_the_file(network, samples, seen, tmp_path):
    integers = lower(network, choose(network, seen, Widths(3, 5)))
    integers.save(tmp_path / "net.hwsim")
    again = hwsim.load(tmp_path / "net.hwsim")
    x = codes_of(integers, samples)
    a, b = (hwsim.simulate(g, x, "dyadic", keep_tensors=True).tensors for g in (integers, again))
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


def test_a_tensor_without_format_is_named(network, seen):
    coding = choose(network, seen, Widths())
    with pytest.raises(GraphError, match=r"^tensor 'c' has no number format; calibrate it or give it one$"):
        lower(network, Coding({i: f for i, f in coding.activations.items() if i != 7}, coding.weights))


def test_calibration_that_is_not_finite_is_named(network, samples):
    with pytest.raises(InputError, match=r"^tensor 'x' is not finite on samples 0 to 31; check their range$"):
        observe(network, np.where(np.arange(40)[:, None, None, None] == 3, np.nan, samples))


def test_widths_out_of_range_are_named(network, seen):
    with pytest.raises(InputError, match=r"^'conv1': widths are \(1, 4\); expected 2 to 8 bits each$"):
        choose(network, seen, Widths(1, 4))
