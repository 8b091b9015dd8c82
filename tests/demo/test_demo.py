import json

import numpy as np
from rich.console import Console

from hwsim import demo
from hwsim.engines import real_engines
from hwsim.graph import Graph


def test_demo_is_exact_and_accurate(capsys, tmp_path):
    quiet = Console(stderr=True)
    assert demo.run_demo(Console(), quiet, tmp_path, as_json=True) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["engines"]) == set(real_engines())
    for found in facts["engines"].values():
        assert found["exact"]
        assert found["tensors_equal"] == found["tensors"] == 17
        assert found["accuracy"] >= 0.92


def test_demo_network_has_the_promised_operators():
    ops = {node.op for node in demo.network().nodes}
    assert {"conv2d", "depthwise_conv2d", "add", "average_pool_2d", "fully_connected", "softmax"} <= ops


def test_demo_finds_a_changed_weight(monkeypatch, tmp_path):
    graph = demo.network()
    index = next(i for i, t in enumerate(graph.tensors) if t.name == "logits/bias")
    changed = graph.tensors[index].data.copy()
    changed[0] += 50000
    tensors = list(graph.tensors)
    tensors[index] = type(tensors[index])("logits/bias", changed.shape, "int32", tensors[index].format, changed)
    monkeypatch.setattr(
        demo, "network", lambda: Graph(graph.name, tuple(tensors), graph.nodes, graph.inputs, graph.outputs)
    )
    monkeypatch.setattr(demo, "installed", lambda profile: None)
    assert demo.run_demo(Console(), Console(stderr=True), tmp_path) == 1


def test_demo_images_are_codes():
    x, labels = demo.images()
    assert x.shape == (500, 28, 28, 1)
    assert x.dtype == np.int8
    assert np.unique(labels).tolist() == list(range(10))
