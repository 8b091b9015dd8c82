"""Weights in every format, and what runs with them."""

from dataclasses import replace

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.graph import Affine, Grouped, Levels
from hwsim.ptq.choose import Widths, choose
from hwsim.ptq.formats import FORMATS, activation_levels, decoded, product_codebooks, weights_in
from hwsim.ptq.lower import Coding, Weights, lower
from hwsim.ptq.observe import Seen
from tests.ptq.test_lower import codes_of

EVERY = [(kind, bits) for kind, (low, high) in FORMATS.items() for bits in sorted({low, min(4, high), high})]


@pytest.mark.parametrize(("kind", "bits"), EVERY)
def test_every_format_runs_as_the_integers_it_stands_for(network, samples, seen, kind, bits, tmp_path):
    """The layer computes what it computes with the levels as plain int8 weights; the file keeps it so."""
    coding = choose(network, seen, Widths())
    weights = weights_in(network, 2, kind, bits)
    form = weights.format
    outputs = []
    plain = weights
    if isinstance(form, Levels):
        axis = np.arange(len(form.table))[:, None, None, None] if form.axis is not None else 0
        levels = form.table[axis, weights.codes]
        plain = Weights(levels, Affine(form.scale, np.zeros(form.scale.size, np.int64), form.axis))
        assert np.abs(levels).max() <= 127
    for one in (weights, plain):
        integers = lower(network, Coding(coding.activations, {**coding.weights, 2: one}))
        integers.save(tmp_path / "g.hwsim")
        x = codes_of(integers, samples)
        outputs += [hwsim.simulate(g, x, "dyadic").outputs[0] for g in (integers, hwsim.load(tmp_path / "g.hwsim"))]
    for other in outputs[1:]:
        np.testing.assert_array_equal(outputs[0], other)


@pytest.mark.parametrize("kind", ["uniform", "apot", "log", "codebook", "lcq", "bases", "product"])
def test_more_bits_come_closer(network, kind):
    data = network.tensors[5].data.astype(np.float64)
    errors = [((decoded(weights_in(network, 2, kind, bits)) - data) ** 2).sum() / (data**2).sum() for bits in (2, 4, 6)]
    assert errors[0] < (0.75 if kind == "log" else 0.4)  # log: the scale is not fitted
    assert errors[1] < errors[0] and errors[2] <= errors[1] * 1.01


def test_runs_with_integer_multipliers_come_closer_than_one_scale(network, seen):
    data = network.tensors[5].data.astype(np.float64)
    for bits in (2, 3, 4):
        errors = [((decoded(weights_in(network, 2, kind, bits)) - data) ** 2).sum() for kind in ("grouped", "uniform")]
        assert errors[0] < errors[1]
    coding = choose(network, seen, Widths(weights=4, group=8))
    forms = {i: weights.format for i, weights in coding.weights.items()}
    inner = [form for form in forms.values() if isinstance(form, Grouped)]
    assert inner and all((form.bits, form.size) == (4, 8) for form in inner)
    assert all(isinstance(forms[i], Affine) for i in (min(forms), max(forms)))  # the ends keep 8 bits


def test_a_layer_of_a_shared_codebook_has_one_table(network):
    for kind in ("lcq", "codebook", "apot"):
        form = weights_in(network, 2, kind, 4).format
        assert isinstance(form, Levels) and form.scale.size == 6 and form.stored_table.shape[0] == 1


@pytest.mark.parametrize("kind", ["lcq", "pot", "apot", "ternary", "log"])
def test_three_levels_are_ternary_whatever_their_name(network, kind):
    weights = weights_in(network, 2, kind, 2)
    assert isinstance(weights.format, Levels) and weights.format.stored_table.tolist() == [[-1, 0, 1]]
    data = network.tensors[5].data.astype(np.float64)
    error, plain = (((decoded(w) - data) ** 2).sum() for w in (weights, weights_in(network, 2, "uniform", 2)))
    assert error == pytest.approx(plain, rel=1e-3) or kind == "log"


def test_product_weights_are_sums_of_whole_vectors(network):
    weights = weights_in(network, 2, "product", 4)
    books, matrix, spread = product_codebooks(network.tensors[5].data.astype(np.float64), 4, 0)
    assert books.codebooks.shape == (2, 27, 16, 2)
    pairs = weights.codes.reshape(6, 27, 2)
    step = weights.format.scale.astype(np.float64) / spread
    np.testing.assert_allclose(step, step[0], rtol=1e-6)
    stages = books.encode(matrix)
    for row in range(6):
        for part in range(27):
            vectors = [np.rint(books.codebooks[s, part, stages[s, row, part]] / step[0]) for s in range(2)]
            assert np.abs(pairs[row, part] - sum(vectors)).max() <= 1


def test_activations_behind_tables_end_to_end(network, samples, seen):
    """A network whose inner tensor is behind LCQ's table stays near the float one."""
    coding = choose(network, seen, Widths())
    form = activation_levels(seen[3], 6)
    integers = lower(network, Coding(coding.activations, coding.weights, tables={3: form, 4: form}))
    real = hwsim.simulate(network, samples, "float", keep_tensors=True).tensors
    with pytest.raises(hwsim.errors.UnsupportedError, match="levels only layers with weights compute on"):
        hwsim.simulate(integers, codes_of(integers, samples), "dyadic")
    nodes = (*network.nodes[:3], replace(network.nodes[3], inputs=(7, 7)), *network.nodes[4:])
    chain = replace(network, nodes=nodes)
    integers = lower(chain, Coding(coding.activations, coding.weights, tables={3: form, 4: form}))
    run = hwsim.simulate(integers, codes_of(integers, samples), "dyadic", keep_tensors=True).tensors
    assert run["a"].dtype == np.uint8 and run["a"].max() <= 63
    values = form.table[0][run["a"]] * form.scale[0]
    assert np.abs(values - real["a"]).mean() < 0.05 * real["a"].mean() + 0.01
    scale, zero = integers.tensor("c").affine.scale[0], integers.tensor("c").affine.zero_point[0]
    assert np.abs((run["c"] - zero) * scale - real["c"]).mean() < 0.05 * np.abs(real["c"]).max()


def test_what_does_not_exist_is_named(network):
    with pytest.raises(InputError, match=r"^unknown weight format 'lqc'; did you mean 'lcq'\?"):
        weights_in(network, 2, "lqc", 4)
    with pytest.raises(InputError, match=r"^pot weights of 5 bits; expected 2 to 4$"):
        weights_in(network, 2, "pot", 5)
    with pytest.raises(InputError, match=r"^product weights of 3 bits; expected an even number$"):
        weights_in(network, 2, "product", 3)
    with pytest.raises(InputError, match=r"^the smallest value seen is -1; companded activations hold none below 0$"):
        activation_levels(Seen(-1.0, 1.0, np.zeros(3)), 4)
