"""Published networks, every tensor, against the real engines; skipped where the networks are not at hand."""

from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

import hwsim
from hwsim.engines import real_engines
from hwsim.errors import UnsupportedError
from hwsim.graph.probes import probe_inputs, random_inputs
from hwsim.verify.reference import ReferenceSession, installed

INT8 = ["ad01_int8", "hello_world_int8", "kws_ref_model", "micro_speech_quantized", "pretrainedResnet_quant",
        "tf2_mobilenet_v2_1.0_224_ptq", "vww_96_int8"]  # fmt: skip
UINT8 = ["deeplabv3_mnv2_dm05_pascal_quant", "mobilenet_v1_0.25_128_quant"]
ENGINES = sorted(real_engines())


@pytest.fixture
def real(request):
    """The engine's name; skips where its package is missing."""
    profile = hwsim.engines()[request.param]
    if installed(profile) is None:
        pytest.skip(f"needs the package {profile.package}: pip install 'hwsim[verify]'")
    return request.param


@pytest.mark.engine
@pytest.mark.parametrize("name", INT8 + UINT8)
@pytest.mark.parametrize("real", ENGINES, indirect=True)
def test_network_equals_the_real_engine(shared_models, name, real):
    if name in UINT8 and real == "tflite-micro":
        pytest.skip("TFLM has no uint8 convolution")
    graph = hwsim.load(shared_models(f"{name}.tflite"))
    check = hwsim.verify(graph, probe_inputs(graph, 1), engine=real)
    assert check.exact, check.explanation
    assert check.compared == len(check.tensors) == sum(len(node.outputs) for node in graph.nodes)


@pytest.mark.parametrize("name", UINT8)
def test_tflite_micro_refuses_uint8_before_anything_runs(shared_models, name):
    graph = hwsim.load(shared_models(f"{name}.tflite"))
    with pytest.raises(
        UnsupportedError, match=r"^conv2d '.*': engine 'tflite-micro' cannot run it on uint8; it runs int16, int8$"
    ):
        hwsim.compile(graph, "tflite-micro")


STEPS = 50


@pytest.mark.engine
@pytest.mark.parametrize("name", ["keyword_scrambled", "trained_lstm_int8"])
@pytest.mark.parametrize("real", ENGINES, indirect=True)
def test_network_with_state_equals_the_real_engine_over_many_steps(shared_models, name, real):
    assert_steps_equal(hwsim.load(shared_models(f"{name}.tflite")), real)


def wake_words():
    """The streaming networks of the package pymicro-wakeword, where it is installed."""
    try:
        files = metadata.files("pymicro-wakeword") or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.suffix == ".tflite"]


@pytest.mark.engine
@pytest.mark.parametrize("real", ENGINES, indirect=True)
def test_wake_word_networks_equal_the_real_engine_over_many_steps(real):
    if not wake_words():
        pytest.skip("needs the networks of pymicro-wakeword: pip install pymicro-wakeword")
    for file in wake_words():
        assert_steps_equal(hwsim.load(file), real)


def assert_steps_equal(graph, engine):
    """Every tensor and the state after every step."""
    check = hwsim.verify(graph, probe_inputs(graph, STEPS - 3), engine=engine, stateful=True)
    assert check.exact, check.explanation
    assert check.samples == STEPS
    assert check.compared == len(check.tensors) > sum(len(node.outputs) for node in graph.nodes)


# Of 846 images; measured in the real engines. The published 87.47 % is the default engine's, XNNPACK.
CORRECT = {"litert-optimized": 741, "litert-reference": 744, "tflite-micro": 744, "xnnpack": 740}


@pytest.mark.engine
@pytest.mark.parametrize("real", ENGINES, indirect=True)
def test_resnet_predicts_as_the_real_engine_on_every_image(shared_models, real):
    images = shared_models("pretrainedResnet_quant.tflite").parents[1] / "data" / "cifar10_test_lossless846.npz"
    if not images.exists():
        pytest.skip("needs the images in ../shared/data")
    with np.load(images) as data:
        x, y = (data["x"].astype(np.int16) - 128).astype(np.int8), data["y"]
    graph = hwsim.load(shared_models("pretrainedResnet_quant.tflite"))
    predicted = hwsim.simulate(graph, x, real, threads=2).outputs[0].argmax(axis=1)
    session = ReferenceSession(graph, hwsim.engines()[real])
    scores = session.tensors({graph.inputs[0]: x[:, None]})[graph.outputs[0]].reshape(len(x), -1)
    np.testing.assert_array_equal(predicted, scores.argmax(axis=1))
    assert int((predicted == y).sum()) == CORRECT[real]


@pytest.mark.engine
@pytest.mark.parametrize("name", ["pretrainedResnet", "vww_96_float"])
def test_float_network_agrees_with_litert(shared_models, name):
    if installed(hwsim.engines()["float"]) is None:
        pytest.skip("needs the package ai-edge-litert: pip install 'hwsim[verify]'")
    graph = hwsim.load(shared_models(f"{name}.tflite"))
    check = hwsim.verify(graph, random_inputs(graph, 3), engine="float")
    assert check.agrees and check.tolerance == 1e-5, check.explanation
    assert check.compared == len(check.tensors) == len(graph.nodes)


def test_float_resnet_scores_what_is_published(shared_models):
    """87.71 % of the 846 images: 742."""
    images = shared_models("pretrainedResnet.tflite").parents[1] / "data" / "cifar10_test_lossless846.npz"
    if not images.exists():
        pytest.skip("needs the images in ../shared/data")
    with np.load(images) as data:
        x, y = data["x"].astype(np.float32), data["y"]
    scores = hwsim.simulate(hwsim.load(shared_models("pretrainedResnet.tflite")), x, "float").outputs[0]
    assert int((scores.argmax(axis=1) == y).sum()) == 742
