"""`hwsim.quantize` on a small network: steps, record, checkpoint, bad data."""

import numpy as np
import pytest

import hwsim
from hwsim.errors import InputError
from hwsim.graph import Tensor
from hwsim.ptq.bias_tuning import Tuning
from hwsim.ptq.choose import Widths
from hwsim.ptq.pipeline import quantize_with_history
from hwsim.ptq.steps import PIPELINES, STEPS

BEFORE = ("equalization", "splitting")
ELSEWHERE = ("allocation", "analytic_bias_correction")
QUICK = Tuning(steps=3, batch=8)


def same(a, b):
    return all(
        np.array_equal(s.data, t.data) and str(s.format) == str(t.format)
        for s, t in zip(a.tensors, b.tensors, strict=True)
        if s.data is not None
    )


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_pipelines_give_integers_that_simulate_and_save(network, samples, pipeline, tmp_path):
    graph = hwsim.quantize(network, samples, weights=4, activations=4, pipeline=pipeline, tuning=QUICK)
    assert {t.dtype for t in graph.tensors} == {"int8", "int32"}
    graph.save(tmp_path / "q.hwsim")
    codes = np.zeros((2, 8, 8, 3), np.int8)
    first, again = (hwsim.simulate(g, codes, "dyadic").outputs[0] for g in (graph, hwsim.load(tmp_path / "q.hwsim")))
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("engine", ["tflite-micro", "litert-reference"])
def test_other_engines(network, samples, engine):
    graph = hwsim.quantize(network, samples, engine=engine)
    assert hwsim.simulate(graph, np.zeros((1, 8, 8, 3), np.int8), engine).outputs[0].shape == (1, 5)


@pytest.mark.parametrize("step", [name for name in STEPS if name not in (*BEFORE, "ranges", *ELSEWHERE)])
def test_each_step_can_be_taken_alone_and_lowers_the_error(network, samples, step):
    found = quantize_with_history(
        network, samples, weights=3, activations=8, steps=["ranges", step], tuning=Tuning(steps=30, batch=20)
    )
    before, after = found.history
    assert after.step == step
    assert after.errors["dense"] < before.errors["dense"]


@pytest.mark.parametrize("step", BEFORE)
def test_rewriting_steps_come_before_ranges(network, samples, step):
    assert quantize_with_history(network, samples, steps=[step, "ranges"]).history[1].errors["dense"] < 0.01
    with pytest.raises(InputError, match=rf"^step '{step}' changes the float network; put it before 'ranges'$"):
        hwsim.quantize(network, samples, steps=["ranges", step])


def test_accuracy_is_recorded_by_the_engine(network, samples):
    labels = hwsim.simulate(network, samples, "float").outputs[0].argmax(1)
    found = quantize_with_history(network, samples, pipeline="minmse", labelled=(samples, labels))
    assert found.float_accuracy == 1.0
    codes = np.rint(samples / found.graph.tensors[found.graph.inputs[0]].scale)
    form = found.graph.tensors[found.graph.inputs[0]]
    codes = np.clip(codes + form.zero_point, -128, 127).astype(np.int8)
    right = hwsim.simulate(found.graph, codes, "dyadic").outputs[0].argmax(1) == labels
    assert found.history[0].accuracy == right.mean()


def test_seeded(network, samples):
    first, again = (
        hwsim.quantize(network, samples, weights=4, activations=4, pipeline="advanced", tuning=QUICK, seed=3)
        for _ in range(2)
    )
    assert same(first, again)


def test_a_checkpoint_goes_on_where_it_ended(network, samples, tmp_path, monkeypatch):
    options = {"weights": 4, "activations": 4, "steps": ["ranges", "adaquant", "para_normalization"]}
    whole = quantize_with_history(network, samples, **options)
    with monkeypatch.context() as patch:
        patch.setitem(STEPS, "para_normalization", _broken)
        with pytest.raises(KeyboardInterrupt):
            hwsim.quantize(network, samples, **options, checkpoint=tmp_path / "c.npz")
    with monkeypatch.context() as patch:
        patch.setitem(STEPS, "adaquant", _broken)
        resumed = quantize_with_history(network, samples, **options, checkpoint=tmp_path / "c.npz")
    assert [e.step for e in resumed.history] == options["steps"]
    assert same(whole.graph, resumed.graph)
    assert [p.name for p in tmp_path.iterdir()] == ["c.npz"]


def test_a_checkpoint_of_other_settings_is_refused(network, samples, tmp_path):
    path = tmp_path / "c.npz"
    hwsim.quantize(network, samples, pipeline="minmse", checkpoint=path)
    with pytest.raises(InputError, match=r"c.npz: a checkpoint of another network, data or settings"):
        hwsim.quantize(network, samples, weights=4, pipeline="minmse", checkpoint=path)
    path.write_bytes(b"no npz")
    with pytest.raises(InputError, match=r"c.npz: not a checkpoint"):
        hwsim.quantize(network, samples, pipeline="minmse", checkpoint=path)


@pytest.mark.parametrize("constant", [False, True])
def test_one_sample_dead_channels_and_constant_layers_stay_finite(network, samples, constant):
    dead = list(network.tensors)
    bias, weights = dead[2].data.copy(), dead[1].data.copy()
    weights[1], bias[1], bias[2] = 0.0, -3.0, -1e3
    if constant:
        weights[:], bias[:] = 0.0, 0.5
    dead[1], dead[2] = (Tensor(t.name, t.shape, t.dtype, None, d) for t, d in ((dead[1], weights), (dead[2], bias)))
    graph = type(network)("dead", tuple(dead), network.nodes, network.inputs, network.outputs)
    for x in (samples[:1], samples):
        found = quantize_with_history(
            graph, x, weights=4, activations=4, tuning=QUICK,
            steps=["ranges", *(name for name in STEPS if name not in (*BEFORE, "ranges", *ELSEWHERE))],
        )  # fmt: skip
        assert all(np.isfinite(list(e.errors.values())).all() for e in found.history)
        assert all(np.isfinite(t.format.scale).all() for t in found.graph.tensors if t.format is not None)


def test_integers_and_wider_floats_are_taken_as_numbers(network, samples):
    whole = np.rint(samples * 10)
    first, again = (hwsim.quantize(network, x, pipeline="minmse") for x in (whole.astype(np.int16), whole))
    assert same(first, again)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((0, 8, 8, 3), np.float32), r"input 'x' has shape \[0, 8, 8, 3\]; expected at least one row"),
        (np.zeros((4, 8, 8, 1), np.float32), r"input 'x' has shape \[4, 8, 8, 1\]; expected \[batch, 8, 8, 3\]"),
        (np.ones((4, 8, 8, 3)), r"calibration data: input 'x' is 1 everywhere; ranges need samples that vary"),
        (np.full((4, 8, 8, 3), np.nan), r"calibration data: input 'x' holds values that are not finite"),
        (np.full((4, 8, 8, 3), "a"), r"calibration data are <U1; expected numbers that float32 can hold"),
        (
            np.arange(768.0).reshape(4, 8, 8, 3) * 1e30,
            r"calibration data: input 'x' reaches 7.67e\+32; expected at most",
        ),
        (np.full((4, 8, 8, 3), 1e300), r"calibration data: input 'x' holds values that are not finite"),
    ],
)
def test_bad_calibration_data_are_named(network, x, message):
    with pytest.raises(InputError, match=message):
        hwsim.quantize(network, x)


def test_bad_labels_are_named(network, samples):
    with pytest.raises(InputError, match=r"^labels are int64 of shape \[3\]; expected 40 integers from 0 to 4$"):
        hwsim.quantize(network, samples, labelled=(samples, np.zeros(3, np.int64)))
    with pytest.raises(InputError, match=r"^input 'x' reaches .* in the calibration data and .* in the labelled data"):
        hwsim.quantize(network, samples, labelled=(samples * 255, np.zeros(40, np.int64)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pipeline": "ligth"}, r"^unknown pipeline 'ligth'; did you mean 'light'\?$"),
        ({"steps": ["adaqant"]}, r"^unknown step 'adaqant'; did you mean 'adaquant'\?$"),
        ({"steps": ["adaquant"]}, r"^step 'adaquant' needs ranges; put 'ranges' before it$"),
        ({"steps": ["splitting", "ranges", "analytic_bias_correction"]}, r"^batch norm's statistics do not hold after"),
        ({"engine": "dydic"}, r"^unknown engine 'dydic'; did you mean 'dyadic'\?$"),
        ({"ranges": "mes"}, r"^unknown ranges 'mes'; did you mean 'mse'\?$"),
        ({"widths": Widths(9, 4)}, r"widths are \(9, 8\); expected 2 to 8 bits each$"),
    ],
)
def test_bad_options_are_named(network, samples, options, message):
    with pytest.raises(InputError, match=message):
        hwsim.quantize(network, samples, **options)


def test_an_integer_network_is_refused(network, samples):
    graph = hwsim.quantize(network, samples, pipeline="minmse")
    with pytest.raises(InputError, match=r"reads int8; quantize a float32 network$"):
        hwsim.quantize(graph, samples)


def _broken(*_):
    raise KeyboardInterrupt
