"""A transformer's encoder layer under I-BERT: every tensor against plain Python integers, and near the float one."""

import numba
import numpy as np
import pytest

import hwsim
from hwsim.engines import engine
from hwsim.errors import UnsupportedError
from hwsim.graph.build import Builder
from hwsim.ops import operators
from hwsim.ptq.bias_tuning import Tuning
from hwsim.ptq.spell_out import spelled_out
from hwsim.simulate.accumulators import accumulators
from tests import oracle_ibert
from tests.encoder import encoder

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="whole networks need compiled kernels")

FINE = {"scores", "wide", "sum1", "sum2", "out", "narrow"}
"""What softmax, GELU and layer norm read, and what layers add to that."""


def made(pre=False, seed=0, samples=64, ranges="min_max", **sizes):
    """(float graph, real samples, integer graph, their codes)"""
    generator = np.random.default_rng(seed)
    graph = encoder(generator, pre=pre, **sizes)
    x = generator.normal(0, 1, (samples, *graph.tensors[graph.inputs[0]].shape[1:])).astype(np.float32)
    integers = hwsim.quantize(graph, x, engine="ibert", ranges=ranges)
    return graph, x, integers, coded(integers, x)


def coded(graph, x):
    tensor = graph.tensors[graph.inputs[0]]
    ends = np.iinfo(tensor.dtype)
    return np.clip(np.rint(x / tensor.scale) + tensor.zero_point, ends.min, ends.max).astype(tensor.dtype)


@pytest.mark.parametrize("pre", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_every_tensor_equals_plain_integers(pre, seed):
    _, _, integers, codes = made(pre, seed)
    got = hwsim.simulate(integers, codes[:4], "ibert", keep_tensors=True).tensors
    for sample in range(4):
        expected = oracle_ibert.evaluate(integers, [codes[sample : sample + 1]])
        assert len(expected) == 1 + len(integers.nodes)
        for name, value in expected.items():
            rows = got[name].reshape(4, *value.shape)
            np.testing.assert_array_equal(rows[sample], value, err_msg=f"sample {sample}, {name}")


@pytest.mark.parametrize("pre", [False, True])
def test_nothing_is_a_float_and_sums_are_fine(pre):
    _, _, integers, _ = made(pre)
    assert {t.dtype for t in integers.tensors} == {"int8", "int16", "int32"}
    dtypes = {t.name: t.dtype for t in integers.tensors if t.data is None}
    assert {name for name in FINE if dtypes[name] == "int16"} == (FINE - {"sum2", "narrow"} if pre else FINE)
    assert {dtypes[name] for name in ("shares", "mixed", "gelu", "query", "norm1", "norm2")} == {"int8"}


@pytest.mark.parametrize("pre", [False, True])
def test_integers_stay_near_the_float_network(pre):
    graph, x, integers, codes = made(pre, tokens=16, width=32, heads=4, hidden=64, ranges="mse")
    real = hwsim.simulate(graph, x, "float").outputs[0]
    output = integers.tensors[integers.outputs[0]]
    got = hwsim.simulate(integers, codes, "ibert").outputs[0].astype(np.int64)
    wanted = np.clip(np.rint(real / output.scale) + output.zero_point, -128, 127)
    assert np.abs(got - wanted).mean() < 0.6
    assert np.abs(got - wanted).max() < 20


def test_the_file_holds_it_bit_for_bit(tmp_path):
    _, _, integers, codes = made()
    integers.save(tmp_path / "block.hwsim")
    loaded = hwsim.load(tmp_path / "block.hwsim")
    expected = hwsim.simulate(integers, codes, "ibert").outputs[0]
    np.testing.assert_array_equal(hwsim.simulate(loaded, codes, "ibert").outputs[0], expected)


@pytest.mark.parametrize("spoiled", ["scores", "shares", "gelu", "sum1", "norm2"])
def test_a_recording_is_compared_and_the_first_difference_is_named(spoiled):
    _, _, integers, codes = made()
    recorded = oracle_ibert.evaluate(integers, [codes[:1]])
    assert hwsim.verify(integers, codes[:1], engine="ibert", against=recorded).exact
    value = recorded[spoiled] = recorded[spoiled].copy()
    value.flat[3] += 1
    check = hwsim.verify(integers, codes[:1], engine="ibert", against=recorded)
    assert not check.exact
    assert check.first_difference.tensor == spoiled
    assert spoiled in check.explanation


def test_it_is_costed():
    _, _, integers, _ = made()
    for target in ("cortex-m4", "systolic", "ethos-u55-128"):
        found = {layer.work.op: layer.cost.cycles for layer in hwsim.estimate(integers, target).layers}
        assert all(found[op] > 0 for op in ("layer_norm", "gelu", "batch_matmul", "softmax"))


def test_products_of_activations_have_a_bound():
    _, _, integers, _ = made()
    sums = {s.node: s for s in accumulators(integers)}
    tensors = {t.name: t for t in integers.tensors}
    ends = [(-128 - tensors[n].zero_point, 127 - tensors[n].zero_point) for n in ("query_heads", "key_heads")]
    products = [a * b for a in ends[0] for b in ends[1]]
    assert (sums["scores"].low, sums["scores"].high) == (4 * min(products), 4 * max(products))


def test_another_engine_refuses_it_by_name():
    _, _, integers, _ = made()
    with pytest.raises(UnsupportedError, match=r"^batch_matmul 'scores': engine 'dyadic' cannot run it on int8>int16"):
        hwsim.compile(integers, "dyadic")


@pytest.mark.parametrize("name", ["dyadic", "litert-reference", "hawq-v3"])
def test_an_engine_without_layer_norm_gets_it_spelled_out(name):
    graph, x, _, _ = made(tokens=16, width=32, heads=4, hidden=64)
    spelled = spelled_out(graph, engine(name))
    assert "layer_norm" not in {node.op for node in spelled.nodes}
    real = hwsim.simulate(graph, x, "float").outputs[0]
    np.testing.assert_allclose(hwsim.simulate(spelled, x, "float").outputs[0], real, atol=1e-5)
    integers = hwsim.quantize(graph, x, engine=name, ranges="min_max")
    output = integers.tensors[integers.outputs[0]]
    got = hwsim.simulate(integers, coded(integers, x), name).outputs[0].astype(np.int64)
    assert np.std((got - output.zero_point) * output.scale - real) < 0.06 * real.std()


def test_scores_near_zero_get_a_scale_that_softmax_takes():
    b = Builder("faint")
    x = b.input("x", (1, 3, 4))
    scores = b.node("batch_matmul", (x, x), (1, 3, 3), "scores", adj_x=False, adj_y=True)
    graph = b.graph(b.node("softmax", (scores,), (1, 3, 3), "shares", beta=0.3))
    x = np.random.default_rng(0).normal(0, 0.01, (16, 3, 4)).astype(np.float32)
    integers = hwsim.quantize(graph, x, engine="ibert", ranges="min_max")
    assert {t.name: t for t in integers.tensors}["scores"].scale == 2.0**-13
    assert (
        np.abs(hwsim.simulate(integers, coded(integers, x), "ibert").outputs[0].astype(int) + 128 - 256 // 3) <= 1
    ).all()


def test_biases_are_tuned_end_to_end():
    graph, x, _, _ = made()
    found = [
        hwsim.quantize(graph, x, engine="ibert", ranges="min_max", steps=steps, tuning=Tuning(steps=20))
        for steps in (("ranges",), ("ranges", "bias_tuning"))
    ]
    real = hwsim.simulate(graph, x, "float").outputs[0]
    errors = []
    for integers in found:
        output, got = integers.tensors[integers.outputs[0]], hwsim.simulate(integers, coded(integers, x), "ibert")
        errors.append(np.std((got.outputs[0].astype(np.int64) - output.zero_point) * output.scale - real))
    assert errors[1] < 1.05 * errors[0]
    assert any(not np.array_equal(a.data, b.data) for a, b in zip(found[0].tensors, found[1].tensors, strict=True))


@pytest.mark.parametrize("name", ["ibert", "dyadic"])
def test_widths_are_solved_for_it(name):
    graph, x, _, _ = made(samples=16)
    options = {"engine": name, "ranges": "min_max", "cache": False}
    solved = hwsim.solve(graph, "cortex-m4", x, {"flash_kib": 1.0}, **options)
    applied = solved.apply()
    assert solved.status == "optimal"
    assert not applied.missed({"flash_kib": 1.0})
    assert ("layer_norm" in {node.op for node in applied.graph.nodes}) == (name == "ibert")


def test_engines_with_layer_norm_keep_it():
    graph = encoder(np.random.default_rng(0))
    assert spelled_out(graph, engine("ibert")) is graph
    assert set(operators()["layer_norm"].rules) == {"ibert", "float"}
