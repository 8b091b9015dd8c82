"""A quantized graph moves between engines: same codes, another output stage, differences counted."""

import json

import numba
import numpy as np
import pytest
from typer.testing import CliRunner

import hwsim
from hwsim import demo
from hwsim.cli import app
from hwsim.errors import InputError, ReferenceEngineError
from hwsim.graph.probes import probe_inputs
from hwsim.verify.reference import installed

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="whole networks need compiled kernels")

CHIPS = ["dyadic", "dyadic:floor", "dyadic:half_even", "ethos-u", "ethos-u:natural", "ethos-u:truncate", "gemmini",
         "hawq-v3", "nvdla", "pulp-nn", "pulp-nn:8_bits", "shift", "shift:floor"]  # fmt: skip
NETWORKS = ["pretrainedResnet_quant", "kws_ref_model", "vww_96_int8", "ad01_int8"]


@pytest.mark.parametrize("engine", CHIPS)
def test_differences_between_two_simulations_are_counted(engine):
    graph, x = demo.network(), demo.images()[0][:3]
    check = hwsim.verify(graph, x, engine=engine, against=hwsim.compile(graph, "litert-reference"))
    ours, theirs = (hwsim.simulate(graph, x, e, keep_tensors=True).tensors for e in (engine, "litert-reference"))
    found = {record.tensor: record.differing for record in check.tensors}
    assert found == {name: int((ours[name] != theirs[name]).sum()) for name in found}
    assert check.against == "litert-reference (simulated)"
    assert not check.exact or engine == "ethos-u"  # whose default rounding is TFLite's


def test_an_engine_differs_in_nothing_from_itself():
    graph, x = demo.network(), demo.images()[0][:3]
    assert hwsim.verify(graph, x, engine="gemmini", against=hwsim.compile(graph, "gemmini")).exact


@pytest.mark.engine
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("engine", ["gemmini", "shift", "hawq-v3"])
def test_a_simulation_is_compared_with_another_real_engine(shared_models, name, engine):
    if installed(hwsim.engines()["tflite-micro"]) is None:
        pytest.skip("needs the package tflite-micro: pip install 'hwsim[verify]'")
    graph = hwsim.load(shared_models(f"{name}.tflite"))
    check = hwsim.verify(graph, probe_inputs(graph, 1), engine=engine, against="tflite-micro")
    assert check.compared == len(check.tensors) == sum(len(node.outputs) for node in graph.nodes)
    assert not check.exact and check.first_difference is not None
    assert "double_rounding" in check.explanation


@pytest.mark.parametrize("engine", ["onnxruntime-x86", "gemmini", "dyadic:floor"])
def test_what_runs_no_tflite_file_is_refused_with_what_to_do(engine):
    with pytest.raises(ReferenceEngineError, match=f"engine '{engine}' is only simulated: .*--simulated {engine};"):
        hwsim.verify(demo.network(), demo.images()[0][:1], engine="dyadic", against=engine)
    with pytest.raises(ReferenceEngineError, match="is only simulated"):
        hwsim.verify(demo.network(), demo.images()[0][:1], engine=engine)


def test_the_command_compares_two_simulations(tmp_path):
    model, images = tmp_path / "demo.hwsim", tmp_path / "x.npy"
    demo.network().save(model)
    np.save(images, demo.images()[0][:2])
    words = ["verify", str(model), "--engine", "pulp-nn", "--simulated", "dyadic:half_up", "--input", str(images)]
    assert isinstance(CliRunner().invoke(app, words).exception, InputError)  # ties up are what plain "dyadic" does
    words[words.index("dyadic:half_up")] = "dyadic"
    ended = CliRunner().invoke(app, [*words, "--json"])
    facts = json.loads(ended.stdout)
    assert ended.exit_code == 1 and facts["against"] == "dyadic (simulated)"
    words[words.index("dyadic")] = "pulp-nn"
    assert CliRunner().invoke(app, words).exit_code == 0
